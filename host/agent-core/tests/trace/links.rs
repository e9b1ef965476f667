//! Runs that come from others, or go on elsewhere: what their spans link to.

use agent_core::digest::Digest;
use agent_core::name::RunId;
use agent_core::outcome::ToolOutcome;
use agent_core::run_events::{ModelChoice, RunRebased, ToolMode};
use agent_core::session::{Earlier, EarlierRun, ForkedFrom, SessionPlace};
use agent_core::stop::StopReason;
use agent_core::trace::names;
use agent_core::trace::projection::Projection;
use agent_core::trace::{Content, SpanId, TraceId};
use agent_core::units::{Millis, UnixMillis};

use super::run::{ANSWER, Run, ended, finished, locked, replied, requested, resumed, returned, shown};

#[test]
fn a_fork_sends_only_what_is_its_own_and_links_to_where_it_came_from() {
    let origin = RunId::from_parts(UnixMillis(9), [9; 10]);
    let from = ForkedFrom { run: origin.clone(), seq: 4, hash: Digest::of(b""), time: Millis(0) };
    let copied = Run::new()
        .beginning(|started| started.forked_from = Some(from))
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["orders__look-up"]))
        .with(finished(1, returned("x"), Vec::new()));
    let mut projection = Projection::new(Content::Captured);
    for event in &copied.events {
        assert_eq!(projection.follow(event, None), [], "it happened in the other run");
    }
    assert_eq!((projection.interrupted(), projection.open(UnixMillis(900))), (vec![], vec![]));
    let run = copied
        .with(resumed())
        .with(requested(2, 1, 0))
        .with(replied(2, ANSWER, &[]))
        .with(ended(StopReason::Completed));
    let spans = run.spans_with(Content::Captured);
    assert_eq!(shown(&spans)[2], "invoke_agent support < - 400..700");
    assert_eq!(spans.len(), 3);
    let first = SpanId::of(&origin, 1, ("invoke_agent", 0));
    assert_eq!(
        spans[2].links.iter().map(|link| (link.trace, link.span)).collect::<Vec<_>>(),
        [(TraceId::of(&origin), first)]
    );
    assert_eq!(spans[2].text(&names::FORKED_FROM), Some(origin.as_str()));
    assert!(
        spans[0].text(&names::INPUT_MESSAGES).unwrap().contains("tool_call_response"),
        "what was said there counts"
    );
}

#[test]
fn a_run_of_a_session_names_it_and_links_to_the_one_before() {
    let before = RunId::from_parts(UnixMillis(9), [9; 10]);
    let earlier = EarlierRun { run: before.clone(), conversation: Digest::of(b""), bytes: 3 };
    let run = Run::new()
        .beginning(|started| {
            started.session = Some(SessionPlace { name: "orders".parse().unwrap(), place: 2 });
            started.earlier = Earlier { runs: vec![earlier], left_out: 0 };
        })
        .with(requested(1, 1, 0))
        .with(replied(1, ANSWER, &[]))
        .with(ended(StopReason::Completed));
    let spans = run.spans();
    assert_eq!(spans[2].links.first().map(|link| link.trace), Some(TraceId::of(&before)));
    for span in [&spans[0], &spans[2]] {
        assert_eq!(span.text(&names::CONVERSATION), Some("orders"));
    }
}

#[test]
fn a_rebased_run_goes_on_under_other_names() {
    let tools = vec![locked("files.write")];
    let models = vec![ModelChoice { name: "openai:new".into(), base_url: None, tool_mode: ToolMode::Native }];
    let moved =
        RunRebased { agent: "other".parse().unwrap(), agent_file: None, instructions: String::new(), models, tools };
    let run = Run::new()
        .with(ended(StopReason::MaxTurns))
        .with(moved)
        .with(resumed())
        .with(requested(1, 1, 0))
        .with(replied(1, "", &["files__write", "orders__look-up"]))
        .with(finished(2, ToolOutcome::Failed { message: "x".into() }, Vec::new()));
    let spans = run.spans();
    let called: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(called, ["invoke_agent support", "chat new", "execute_tool unknown"]);
    let open = run.events.iter().fold(Projection::new(Content::LeftOut), |mut projection, event| {
        projection.follow(event, None);
        projection
    });
    let drive = &open.open(UnixMillis(900))[0];
    assert_eq!((drive.name.as_str(), drive.notes[0].name), ("invoke_agent other", "agenthost.run_rebased"));
}
