//! `wasi:random`, seeded: the same call sees the same numbers again. Recorded by its seed, not by its answers.

use agent_core::outcome::Fault;
use agent_core::units::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::charge::RANDOM_BYTES_PER_UNIT;
use crate::state::CallState;
use crate::stop::Stop;

/// The random numbers of one call: one named generator, so that a later release of this host gives the same ones.
pub(crate) struct Random {
    secure: ChaCha20Rng,
    insecure: ChaCha20Rng,
    seed: (u64, u64),
    left: u64,
    limit: Bytes,
}

impl Random {
    /// Three streams of the same seed: what a guest learns of one says nothing about another.
    pub(crate) fn new(seed: [u8; 32], limit: Bytes) -> Self {
        let stream = |number| {
            let mut generator = ChaCha20Rng::from_seed(seed);
            generator.set_stream(number);
            generator
        };
        let mut seeds = stream(2);
        Self {
            secure: stream(0),
            insecure: stream(1),
            seed: (seeds.next_u64(), seeds.next_u64()),
            left: limit.0,
            limit,
        }
    }

    fn take(&mut self, bytes: u64) -> Result<(), Stop> {
        let left = self.left.checked_sub(bytes).ok_or_else(|| {
            Stop::fault(Fault::HostcallLimit, format!("the tool asked for more than {} of random bytes", self.limit))
        })?;
        self.left = left;
        Ok(())
    }
}

impl CallState {
    /// Charges before anything is generated, so that no length is too long to refuse.
    fn pay_random(&mut self, bytes: u64) -> Result<(), Stop> {
        self.pay()?;
        self.random.take(bytes)?;
        self.pay_extra(bytes / RANDOM_BYTES_PER_UNIT)
    }
}

fn bytes(generator: &mut ChaCha20Rng, len: u64) -> wasmtime::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len)?];
    generator.fill_bytes(&mut bytes);
    Ok(bytes)
}

impl random::Host for CallState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.pay_random(len)?;
        bytes(&mut self.random.secure, len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.pay_random(8)?;
        Ok(self.random.secure.next_u64())
    }
}

impl insecure::Host for CallState {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.pay_random(len)?;
        bytes(&mut self.random.insecure, len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.pay_random(8)?;
        Ok(self.random.insecure.next_u64())
    }
}

impl insecure_seed::Host for CallState {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.pay()?;
        Ok(self.random.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_never_changes() {
        let mut random = Random::new([7; 32], Bytes(64));
        // Stored journals depend on these numbers.
        assert_eq!(random.secure.next_u64(), 4_753_173_749_397_848_308);
        assert_ne!(random.secure.next_u64(), random.insecure.next_u64());
        assert!(random.take(64).is_ok());
        assert!(matches!(random.take(1), Err(Stop::Fault { fault: Fault::HostcallLimit, .. })));
    }
}
