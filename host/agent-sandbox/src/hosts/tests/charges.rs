//! Work that a host call does for a guest is charged, whoever does it and however little the guest says.

use agent_core::grant::Access;
use agent_core::limits::Limits;
use wasmtime_wasi::p2::bindings::filesystem::types::OpenFlags;

use super::support::{Answer, Guest};
use crate::charge::BYTES_PER_UNIT;

const FILE_BYTES: u64 = 4 << 20;

/// What it costs to write one byte into a file of four megabytes.
async fn units(guest: Guest) -> Result<u64, Box<dyn std::error::Error>> {
    let mut guest = guest;
    std::fs::File::create(guest.temp.path().join("large"))?.set_len(FILE_BYTES)?;
    guest.write("large", OpenFlags::empty(), Some(0), b"x").await?;
    Ok(guest.state.finish().await.host_calls)
}

/// The first change of a file makes the host read the whole of it, for the undo.
#[tokio::test]
async fn what_is_read_for_an_undo_is_charged() -> Result<(), Box<dyn std::error::Error>> {
    let undone = units(Guest::new(Access::Write, Answer::Allow, Limits::STANDARD)).await?;
    let opaque = units(Guest::without_undo()).await?;
    assert_eq!(undone - opaque, FILE_BYTES / BYTES_PER_UNIT);
    Ok(())
}
