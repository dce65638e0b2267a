# netloom as its own scripts have it: every number by the book.
base = rfc
congestion = reno
quick_acks = 0
