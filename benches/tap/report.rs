//! The tables.

use super::common::median;
use super::measure::{BBR, CUBIC, Close, Measure, Place, Sample, Table};
use super::rivals::Rival;
use super::settings::Settings;

/// Two medians that differ by less are equal.
pub(crate) const TIE: f64 = 0.05;

/// Says what is compared, before it begins.
pub(crate) fn print_head(settings: &Settings) {
    println!(
        "{} CPUs, load {} before, Linux {}, MTU 1500, one flow. The kernel's congestion control is {CUBIC} wherever no title says\n\
         {BBR}; netloom's is CUBIC; smoltcp has none by default. Median [least..most] of {} interleaved samples of {:?};\n\
         ratios are medians of the ratios within each round; \"=\" is a tie: within {:.0} %.",
        std::thread::available_parallelism().map_or(0, usize::from),
        first_word("/proc/loadavg"),
        first_word("/proc/sys/kernel/osrelease"),
        settings.samples,
        settings.time,
        TIE * 100.0,
    );
}

fn first_word(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

pub(crate) fn print(table: &Table) {
    let bulk = "Gbit/s | / kernel, / smoltcp | CPU s per GiB: client + rival";
    for name in [CUBIC, BBR] {
        section(table, &[Measure::Receive(name)], bulk);
        section(table, &[Measure::Send(name)], bulk);
    }
    for place in [Place::OneCpu, Place::TwoCpus, Place::Spinning] {
        let measure = Measure::PingPong(place);
        section(table, &[measure], "p50 us | / kernel, / smoltcp | p99 us");
    }
    for place in [Place::OneCpu, Place::TwoCpus] {
        let measures = [Close::Reset, Close::Fin].map(|close| Measure::Connections(place, close));
        let columns = "closed by RST per second | / kernel, / smoltcp || closed by FIN ..";
        section(table, &measures, columns);
    }
}

/// One table: a row for each rival, side by side what was measured.
fn section(table: &Table, measures: &[Measure], columns: &str) {
    let rows: Vec<_> = Rival::ALL
        .into_iter()
        .filter(|&rival| measures.iter().any(|&m| table.get(m, rival).is_some()))
        .collect();
    if rows.is_empty() {
        return;
    }
    println!("\n{}; {}", measures[0].title(), measures[0].place().name());
    println!("  {:<28}{columns}", "");
    for rival in rows {
        let cells: Vec<_> = measures.iter().map(|&m| cell(table, m, rival)).collect();
        println!("  {:<28}{}", rival.name(), cells.join(" || "));
    }
}

fn cell(table: &Table, measure: Measure, rival: Rival) -> String {
    let samples = match table.get(measure, rival).map(|cell| cell.samples()) {
        None => return "-".to_owned(),
        Some(Err(failure)) => return format!("failed: {failure}"),
        Some(Ok(samples)) => samples,
    };
    let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value)).unwrap_or(f64::NAN);
    let values = samples.iter().map(|sample| sample.value);
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    let digits = usize::from(!matches!(measure, Measure::Connections(..)));
    let range = format!("[{least:.digits$}..{most:.digits$}]");
    let ratio = |to| {
        table
            .ratio(measure, rival, to)
            .map_or_else(|| "-".to_owned(), show)
    };
    let line = format!(
        "{:>8.digits$} {range:<15} | {:>6} {:>6}",
        of(|sample| sample.value),
        ratio(Rival::Kernel),
        ratio(Rival::Smoltcp)
    );
    match measure {
        Measure::Receive(_) | Measure::Send(_) => {
            let (client, rest) = (of(|sample| sample.cost.0), of(|sample| sample.cost.1));
            format!("{line} | {client:.2} + {rest:.2}")
        }
        Measure::PingPong(_) => format!("{line} | {:.1}", of(|sample| sample.p99)),
        Measure::Connections(..) => line,
    }
}

/// A ratio, marked when it is a tie.
pub(crate) fn show(ratio: f64) -> String {
    let mark = if (ratio - 1.0).abs() < TIE { "=" } else { " " };
    format!("{ratio:.2}{mark}")
}
