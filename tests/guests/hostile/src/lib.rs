//! A tool that misbehaves on request: one operation per misbehaviour. What ends with a report says what the guest saw, for
//! the tests compare that with what the host recorded.

mod consume;
mod data;
mod escape;
mod flood;
mod fs;
mod hoard;
mod keep;
mod net;
mod say;
mod secrets;

agent_host_tool::export!(
    consume::spin,
    consume::allocate,
    consume::recurse,
    consume::sleep_hour,
    consume::clock_forever,
    consume::random_forever,
    consume::open_many,
    consume::write_forever,
    consume::create_forever,
    data::raw_json,
    data::hold_responses,
    escape::read_path,
    escape::write_path,
    escape::link,
    escape::connect,
    escape::tcp_connect,
    escape::environment,
    escape::exit,
    flood::print_forever,
    flood::log_forever,
    flood::progress_forever,
    flood::big_log,
    flood::big_result,
    flood::many_parts,
    flood::deep_json,
    flood::bad_json,
    hoard::hoard_texts,
    hoard::hoard_fields,
    hoard::hoard_bodies,
    hoard::long_names,
    keep::keep,
    keep::keep_then_trap,
    keep::keep_forever,
    keep::keep_and_multiply,
    keep::open_store,
    say::say,
    say::say_failed,
    say::say_log,
    say::say_path,
    say::print_bytes,
    say::print_amount,
    say::log_amount,
    net::raw_request,
    net::raw_urls,
    net::many_requests,
    net::request_behind,
    net::sockets,
    secrets::send,
    secrets::hunt,
    secrets::surroundings,
    secrets::variable,
    secrets::carry,
    fs::fs_steps,
);
