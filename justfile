# Short names for `cargo xtask`, which works without just too.

# List these.
default:
    @just --list

# Make `cargo build --target wasm32-wasip2` work.
setup:
    cargo xtask setup

# Build the bundled tools and the test guests.
tools:
    cargo xtask tools

# Run an agent on a real task, without a key.
demo:
    cargo xtask demo

# Format, lints, docs, licences, spelling.
check:
    cargo xtask check

# Everything CI runs. `just test --quick` leaves the slow rest out.
test *FLAGS:
    cargo xtask test {{FLAGS}}

# Feed made-up input to everything that reads what a stranger wrote.
fuzz *ARGUMENTS:
    cargo xtask fuzz {{ARGUMENTS}}

# Attack the built program: `just hostile C5 'F*'` for some cases.
hostile *CASES:
    cargo xtask hostile {{CASES}}

# Let hostile guests attack for minutes, and see what is left behind.
soak *ARGUMENTS:
    cargo xtask soak {{ARGUMENTS}}

# Measure the sandbox and the program.
bench:
    cargo xtask bench

# Accept all changed snapshots. Read the diff before you commit it.
bless:
    INSTA_UPDATE=always cargo xtask test --quick
