//! How long calls took, in a space that does not grow with their number: the soak looks for what grows, and must not itself.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told apart from a longer one.
const LONGEST: Duration = Duration::from_secs(600);

/// Digits of a time that are kept: 0.85 ms is not taken for 0.86 ms.
const DIGITS: u8 = 2;

/// The times of many calls.
#[derive(Debug)]
pub struct Times(Histogram<u64>);

impl Times {
    /// None yet. All the space is taken here.
    pub(crate) fn new() -> Self {
        let longest = LONGEST.as_nanos() as u64;
        Self(Histogram::new_with_bounds(1, longest, DIGITS).expect("the bounds are in order"))
    }

    pub(crate) fn add(&mut self, took: Duration) {
        self.0.saturating_record(took.as_nanos() as u64);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this share of the calls ended, 0 where there are none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        if self.0.is_empty() { Duration::ZERO } else { Duration::from_nanos(self.0.value_at_quantile(share)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_right_to_two_digits() {
        let mut times = Times::new();
        (1..=100).rev().for_each(|millis| times.add(Duration::from_millis(millis)));
        let close = |share, millis: f64| (times.percentile(share).as_secs_f64() * 1e3 / millis - 1.0).abs() < 0.01;
        assert!(close(0.5, 50.0) && close(0.99, 99.0));
        assert_eq!((times.count(), Times::new().percentile(0.99)), (100, Duration::ZERO));
    }

    #[test]
    fn a_million_times_take_no_more_space_than_one() {
        let mut times = Times::new();
        let space = times.0.distinct_values();
        (0..1_000_000).for_each(|nanos| times.add(Duration::from_nanos(nanos * 1_000_000)));
        assert_eq!(times.0.distinct_values(), space);
    }
}
