//! The table.

use crate::machine::RIVAL_CPU;
use crate::measure::{Measure, Sample, Settings, Table};
use crate::rivals::{KERNEL, Rival, SMOLTCP};

pub(crate) fn print(settings: &Settings, rivals: &[Rival], table: &Table) {
    println!(
        "{} CPUs, Linux {}, MTU 1500; the client (a kernel socket) on CPU {}, rivals on CPU {RIVAL_CPU}; \
         median [least..most] of {} interleaved samples of {:?}",
        std::thread::available_parallelism().map_or(0, usize::from),
        std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim(),
        settings.client_cpu,
        settings.samples,
        settings.time,
    );
    for measure in Measure::ALL {
        let rows: Vec<_> = rivals
            .iter()
            .enumerate()
            .filter_map(|(number, rival)| Some((rival, table.get(&(measure, number))?)))
            .collect();
        if rows.is_empty() {
            continue;
        }
        println!("\n{}, {}", measure.title(), heading(measure));
        let of = |name| {
            let row = rows.iter().find(|(rival, _)| rival.is(name))?;
            Some(median(row.1, |sample| sample.value))
        };
        let (kernel, smoltcp) = (of(KERNEL), of(SMOLTCP));
        for (rival, samples) in rows {
            let line = line(measure, samples, kernel, smoltcp);
            println!("  {:<28}{line}", rival.name);
        }
    }
}

fn heading(measure: Measure) -> &'static str {
    match measure {
        Measure::Receive(_) | Measure::Send(_) => {
            "Gbit/s | / kernel, / smoltcp | CPU s per GiB: client + rival"
        }
        Measure::PingPong => "p50 us | / kernel, / smoltcp | p99 us",
        Measure::Connections => "per second | / kernel, / smoltcp",
    }
}

fn line(measure: Measure, samples: &[Sample], kernel: Option<f64>, smoltcp: Option<f64>) -> String {
    let values = samples.iter().map(|sample| sample.value);
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    let value = median(samples, |sample| sample.value);
    let digits = usize::from(measure != Measure::Connections);
    let range = format!("[{least:.digits$}..{most:.digits$}]");
    let ratio = |to: Option<f64>| {
        let digits = 2;
        to.map_or_else(|| "-".to_owned(), |to| format!("{:.digits$}", value / to))
    };
    let mut line = format!(
        "{value:>9.digits$} {range:<16} | {:>5} {:>6}",
        ratio(kernel),
        ratio(smoltcp)
    );
    if measure.is_bulk() {
        let client = median(samples, |sample| sample.cost.0);
        let rest = median(samples, |sample| sample.cost.1);
        line += &format!(" | {client:.2} + {rest:.2}");
    } else if measure == Measure::PingPong {
        line += &format!(" | {:.1}", median(samples, |sample| sample.p99));
    }
    line
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
