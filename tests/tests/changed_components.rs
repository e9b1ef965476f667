//! A component that is exchanged while a person is asked about it: what was approved is what runs, and other code asks anew.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use agent_tests::World;

/// What the program ends with when it waits for a person.
const WAITS: Option<i32> = Some(20);

/// Puts a component into place whose one function returns this number.
fn exchange(world: &World, number: u32) {
    let text = format!(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    );
    world.write("tools/changing.wasm", wat::parse_str(text).expect("a component"));
}

/// A machine with a rule that asks first, and a model that calls once and tells the result.
fn world() -> World {
    let world = World::new();
    exchange(&world, 1);
    world.write("policy.toml", "[[approval]]\ntool = \"changing\"\n");
    let script = "version = 1\n[[reply]]\ncalls = [{ tool = \"changing.run\", as = \"said\", arguments = {} }]\n[[reply]]\ntext = \
                  \"it said {{ said }}\"\n";
    world.write("replies.toml", script);
    world
}

const RUN: [&str; 8] =
    ["run", "--tools", "tools", "--policy", "policy.toml", "--model", "scripted:replies.toml", "call it"];

/// The digest of the component that the latest run is locked to.
fn locked(world: &World) -> String {
    world.events(&[])[0]["body"]["tools"][0]["component"].as_str().expect("a digest").to_owned()
}

#[test]
fn what_was_approved_is_what_runs_whatever_becomes_of_the_file() {
    let world = world();
    assert_eq!(world.run(&RUN).code, WAITS);
    let (run, approved) = (world.events(&[])[0]["run"].as_str().expect("a run").to_owned(), locked(&world));
    exchange(&world, 2);
    let said = world.run(&["approve", &run, "1", "--yes", "--resume"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "it said 1\n"), "{said:?}");
    assert_eq!(locked(&world), approved);
    assert_eq!(world.run(&["journal", "verify"]).code, Some(0));

    // The same agent with the same question: another component, so nobody has approved it.
    let said = world.run(&RUN);
    assert_eq!((said.code, said.out.as_str()), (WAITS, ""), "{said:?}");
    assert_ne!(locked(&world), approved);
    let said = world.run(&["approve", "--yes", "--resume", world.events(&[])[0]["run"].as_str().expect("a run"), "1"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "it said 2\n"), "{said:?}");
}

#[test]
fn a_file_that_is_gone_or_broken_meanwhile_changes_nothing() {
    for broken in [None, Some(b"no component".as_slice())] {
        let world = world();
        assert_eq!(world.run(&RUN).code, WAITS);
        let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
        match broken {
            None => std::fs::remove_file(world.work().join("tools/changing.wasm")).expect("it was there"),
            Some(bytes) => drop(world.write("tools/changing.wasm", bytes)),
        }
        let said = world.run(&["approve", &run, "1", "--yes", "--resume"]);
        assert_eq!((said.code, said.out.as_str()), (Some(0), "it said 1\n"), "{said:?}");
    }
}

/// An approval moved to another run would be an approval of other code: a rebase takes the new component and asks again.
#[test]
fn a_run_that_is_moved_to_the_new_component_asks_again() {
    let world = world();
    assert_eq!(world.run(&RUN).code, WAITS);
    let run = world.events(&[])[0]["run"].as_str().expect("a run").to_owned();
    let _ = world.run(&["approve", &run, "1", "--yes"]).ok();
    exchange(&world, 2);
    let rebased = world.run(&["journal", "rebase", &run, "--tools", "tools", "--policy", "policy.toml", "--yes"]);
    assert_eq!(rebased.code, Some(0), "{rebased:?}");
    let resumed = world.run(&["resume"]);
    assert_eq!((resumed.code, resumed.out.as_str()), (WAITS, ""), "{resumed:?}");
}

#[test]
fn a_trusted_agent_file_is_not_trusted_with_another_component() {
    let world = world();
    let agent = "[agent]\nname = \"caller\"\ninstructions = \"Call it.\"\nmodel = \"scripted:replies.toml\"\ntools = [\"tools\"]\n";
    world.write("agent.toml", agent);
    let run = ["run", "--agent", "agent.toml", "call it"];
    let _ = world.run(&["trust", "--yes", "agent.toml"]).ok();
    assert_eq!(world.run(&run).ok(), "it said 1\n");
    exchange(&world, 2);
    let said = world.run(&run);
    assert!(said.code == Some(1) && said.err.contains("error[digest_mismatch]"), "{said:?}");
    assert!(said.err.contains("`agent-host trust "), "{said:?}");
}
