//! What a soak found, in figures for a person and in verdicts for a test.

use crate::Counts;
use crate::sample::Sample;
use crate::times::Times;

/// Most growth of resident memory, in MiB a minute: a leak of a few bytes in each of thousands of attacks is more, and what the
/// memory allocator does in twenty minutes is less.
pub const SLOPE_MIB_PER_MINUTE_MAX: f64 = 1.0;

/// Samples, one a second, before their slope is judged: in a shorter time the allocator's own steps are slopes.
const SAMPLES_MIN: usize = 240;

/// What came of a soak.
#[derive(Debug)]
pub struct Findings {
    /// What the process held before the first attack, and after the last.
    pub before: Sample,
    /// The same, later.
    pub after: Sample,
    /// How long polite calls took on an idle host.
    pub idle: Times,
    /// How long they took beside the attacks.
    pub mixed: Times,
    /// Once a second during the attacks.
    pub resident: Vec<Sample>,
    pub(crate) outcomes: Counts,
}

impl Findings {
    /// Growth of resident memory in the second half of the attacks, in MiB a minute: the least-squares slope. The first half
    /// fills the pool.
    #[must_use]
    pub fn slope_mib_per_minute(&self) -> f64 {
        let half = &self.resident[self.resident.len() / 2..];
        let count = half.len() as f64;
        let mean_at = (count - 1.0) / 2.0;
        let mean = half.iter().map(|sample| sample.resident_mib).sum::<f64>() / count;
        let (mut above, mut below) = (0.0, 0.0);
        for (at, sample) in half.iter().enumerate() {
            let from_mean = at as f64 - mean_at;
            above += from_mean * (sample.resident_mib - mean);
            below += from_mean * from_mean;
        }
        if below == 0.0 { 0.0 } else { above / below * 60.0 }
    }

    /// Whether resident memory stays, as far as there was time to see that.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        let samples = self.resident.len() - self.resident.len() / 2;
        samples < SAMPLES_MIN || self.slope_mib_per_minute() <= SLOPE_MIB_PER_MINUTE_MAX
    }

    /// Whether descriptors and threads are back where they were.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.after.holds_no_more_than(&self.before)
    }

    /// Calls that ended as they should not, each with how often.
    #[must_use]
    pub fn surprises(&self) -> Vec<String> {
        let surprising = self.outcomes.iter().filter(|(_, count)| !count.expected);
        surprising.map(|((operation, outcome), count)| format!("{operation}: {outcome} ({})", count.calls)).collect()
    }

    /// Prints all of it.
    pub fn print(&self) {
        let calls: u64 = self.outcomes.values().map(|count| count.calls).sum();
        println!("{calls} calls, {} of them polite", self.idle.count() + self.mixed.count());
        for ((operation, outcome), count) in &self.outcomes {
            let mark = if count.expected { "" } else { "   SHOULD NOT BE" };
            println!("  {operation:<16} {outcome:<20} {:>8}{mark}", count.calls);
        }
        let most = self.resident.iter().map(|sample| sample.resident_mib).fold(0.0, f64::max);
        let (before, after) = (self.before, self.after);
        println!(
            "resident memory    {:.1} MiB before, {most:.1} at most, {:.1} after",
            before.resident_mib, after.resident_mib
        );
        let steady = if self.is_steady() { "" } else { ", TOO STEEP" };
        println!("  its slope        {:+.2} MiB a minute in the second half{steady}", self.slope_mib_per_minute());
        let back = if self.is_settled() { "back" } else { "NOT BACK" };
        println!("descriptors        {} before, {} after", before.descriptors, after.descriptors);
        println!("threads            {} before, {} after: {back}", before.threads, after.threads);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let (idle, mixed) = (self.idle.percentile(share), self.mixed.percentile(share));
            let times = mixed.as_secs_f64() / idle.as_secs_f64().max(1e-9);
            println!("polite {name}         {idle:.1?} on an idle host, {mixed:.1?} beside attacks: {times:.1} ×");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(resident_mib: f64) -> Sample {
        Sample { resident_mib, descriptors: 10, threads: 5 }
    }

    fn findings(resident: Vec<Sample>) -> Findings {
        let (before, after) = (sample(1.0), sample(2.0));
        Findings { before, after, idle: Times::new(), mixed: Times::new(), resident, outcomes: Counts::new() }
    }

    #[test]
    fn the_slope_is_that_of_the_second_half() {
        let steady = findings([0.0, 50.0, 100.0, 100.0, 100.0, 100.0].map(sample).to_vec());
        assert!(steady.slope_mib_per_minute().abs() < 1e-9);
        let leaking = findings((0..120).map(|second| sample(f64::from(second) / 60.0)).collect());
        assert!((leaking.slope_mib_per_minute() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn memory_that_grows_for_minutes_is_a_finding() {
        let growing = |seconds: usize, mib_per_minute: f64| {
            findings((0..seconds).map(|second| sample(mib_per_minute * second as f64 / 60.0)).collect()).is_steady()
        };
        assert!(growing(1_200, 0.9) && !growing(1_200, 1.1));
        assert!(growing(30, 60.0), "half a minute says nothing");
    }
}
