//! A well-behaved tool: every operation does one thing that a tool may do, by `std` or the SDK, and reports it. The sandbox's
//! and the crash tests call it under grants that allow or refuse that one thing.

mod durable;
mod files;
mod reconcile;
mod results;
mod together;
mod world;

agent_host_tool::export!(
    durable::pay,
    durable::pay_and_panic,
    durable::pay_together,
    durable::check_and_pay,
    files::read_file,
    files::write_file,
    files::append_file,
    files::rename,
    files::remove,
    files::make_folder,
    files::list_folder,
    files::write_twice,
    files::write_post_write,
    world::env,
    world::clock,
    world::sleep,
    world::random,
    world::print,
    world::say,
    world::http,
    world::compute,
    together::statuses,
    results::echo,
    results::measure,
    results::promise,
    results::parts,
    results::fail,
    results::panic;
    reconcile = reconcile::find_out
);
