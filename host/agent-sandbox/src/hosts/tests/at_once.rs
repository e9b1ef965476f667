//! A call that is killed while two of its requests are under way: along its record each is told its answer, or sent again under
//! its own number, and nothing else.

use std::io;
use std::sync::Arc;

use agent_core::grant::Access;
use agent_core::limits::Limits;

use super::keeper::Keeper;
use super::replays::{Habits, Shop, Told, order, receipt};
use super::support::{Answer, mount, state_of};
use crate::gate::EffectGate;
use crate::replay::Replay;
use crate::state::Account;

/// Pays at two places at the same time.
async fn pays_both(shop: &Shop, gate: &Arc<Keeper>, replay: Option<Replay>) -> (Told, Account) {
    let mounts = vec![mount(shop.temp.path(), "/data", Access::Write)];
    let mut state = state_of(Arc::clone(gate) as Arc<dyn EffectGate>, mounts, Limits::STANDARD, replay);
    let said = async {
        let first = order(&mut state, shop.habits()).await?;
        let second = order(&mut state, Habits { path: "/pay-too", ..shop.habits() }).await?;
        let said = [receipt(&mut state, second).await?, receipt(&mut state, first).await?];
        Ok(said.map(|said| said.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>()).join("|"))
    }
    .await;
    (said, state.finish().await)
}

/// What a resume has to go by where the answers to these effects were recorded, and no others.
fn with_answers(gate: &Keeper, known: &[usize]) -> Replay {
    let mut replay = gate.replay();
    let numbers: Vec<u32> = replay.answers.keys().copied().collect();
    assert_eq!(numbers.len(), 2);
    replay.answers.retain(|number, _| known.iter().any(|place| numbers[*place] == *number));
    replay
}

#[tokio::test]
async fn what_was_under_way_is_sent_again_and_what_was_answered_is_not() -> io::Result<()> {
    for (known, again) in [(&[][..], 2), (&[0], 1), (&[1], 1), (&[0, 1], 0)] {
        let (shop, gate) = (Shop::open().await?, Keeper::new(Answer::AllowKeyed));
        let (said, _) = pays_both(&shop, &gate, None).await;
        assert_eq!(shop.bank.hits(), 2, "{said:?}");
        let announced = |gate: &Keeper| {
            let sends = gate.kept(|kept| kept.lines.iter().filter(|line| line.starts_with("send")).cloned().collect());
            let mut sends: Vec<String> = sends;
            sends.sort();
            sends
        };
        let resumed = Keeper::new(Answer::AllowKeyed);
        let (told, account) = pays_both(&shop, &resumed, Some(with_answers(&gate, known))).await;
        assert_eq!((told, account.divergence, shop.bank.hits()), (said, None, 2 + again), "{known:?}");
        let before = announced(&gate);
        assert!(announced(&resumed).iter().all(|line| before.contains(line)), "the same numbers, and so the same keys");
        assert_eq!(announced(&resumed).len(), again, "{known:?}");
    }
    Ok(())
}
