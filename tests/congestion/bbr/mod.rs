//! BBRv3's states through packets: the list of tests of draft-ietf-ccwg-bbr, and what follows from its
//! rules. Whole stacks over a simulated path; the controller is looked at after every turn.

mod lab;
mod paths;
mod states;
