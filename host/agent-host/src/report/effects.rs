//! `agent-host show RUN --effects`: what each call did to the world, or would have.

use std::io::{self, Write};

use agent_core::effect::{Decision, Effect, EffectClass, EffectResult};
use agent_core::event::EffectIntended;
use agent_core::grant::Capability;

use super::run::{LINE_CHARS_MAX, write_rule};
use super::story::Effects;
use super::{QUIET, text};

/// An effect, and how many like it followed.
pub(super) struct Repeated<'a> {
    pub(super) effect: &'a Effect,
    more: usize,
}

impl Repeated<'_> {
    /// ` (3 times)`, where it was more than once.
    pub(super) fn again(&self) -> String {
        if self.more == 0 { String::new() } else { format!(" ({} times)", self.more + 1) }
    }
}

/// The effects in order; refusals that say the same are one.
pub(super) fn each_once<'a>(effects: Vec<&'a Effect>) -> Vec<Repeated<'a>> {
    let mut once: Vec<Repeated<'a>> = Vec::new();
    for effect in effects {
        let same = |known: &&mut Repeated<'_>| {
            known.effect.request == effect.request && known.effect.decision == effect.decision
        };
        let refused = effect.result == EffectResult::Refused;
        // Refusals by the thousand are of few kinds; it is enough to look at the last ones.
        match once.iter_mut().rev().take(LOOKED_BACK).find(same).filter(|_| refused) {
            Some(known) => known.more += 1,
            None => once.push(Repeated { effect, more: 0 }),
        }
    }
    once
}

/// How far back a like refusal is looked for.
const LOOKED_BACK: usize = 64;

pub(super) fn write(effects: Effects<'_>, out: &mut dyn Write) -> io::Result<()> {
    each_once(effects.recorded).iter().try_for_each(|repeated| write_recorded(repeated, out))?;
    effects.announced.iter().try_for_each(|intended| write_announced(intended, out))
}

fn write_recorded(repeated: &Repeated<'_>, out: &mut dyn Write) -> io::Result<()> {
    let effect = repeated.effect;
    let (capability, request) = (capability(effect.request.capability()), effect.request.to_string());
    let request = text::line(&request, LINE_CHARS_MAX);
    writeln!(out, "    effect {}  {capability}  {request}{}", effect.number, repeated.again())?;
    let egress = if effect.egress { ", egress" } else { "" };
    let class = class(effect.class);
    match &effect.decision {
        Decision::Allow { rule } => {
            let (result, out_in) =
                (result(&effect.result), format!("{} out, {} in", effect.bytes_out, effect.bytes_in));
            writeln!(
                out,
                "      {result} · {class}{egress}{}{QUIET} · {out_in} · {}{QUIET:#}",
                secrets(effect),
                effect.duration
            )?;
            write_rule(&format!("allowed by {rule}"), None, out)
        }
        Decision::Deny { refusal, rule, hint } => {
            writeln!(out, "      refused ({refusal}) · {class}{egress}")?;
            write_rule(rule, hint.as_deref(), out)
        }
    }
}

fn write_announced(intended: &EffectIntended, out: &mut dyn Write) -> io::Result<()> {
    let (capability, request) = (capability(intended.request.capability()), intended.request.to_string());
    writeln!(out, "    effect {}  {capability}  {}", intended.number, text::line(&request, LINE_CHARS_MAX))?;
    writeln!(out, "      {}", class(intended.class))?;
    writeln!(out, "      announced, and no result is recorded")
}

/// Which secrets the host added.
fn secrets(effect: &Effect) -> String {
    let names: Vec<&str> = effect.secrets.iter().map(|name| name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(", with secret {}", names.join(", ")),
    }
}

fn result(result: &EffectResult) -> String {
    let said = |what: &str, why: &str| match why {
        "" => what.to_owned(),
        why => format!("{what}: {}", text::line(why, LINE_CHARS_MAX)),
    };
    match result {
        EffectResult::Done(status) => said("done", status),
        EffectResult::Refused => "refused".to_owned(),
        EffectResult::NotSent(why) => said("failed before it was sent", why),
        EffectResult::Unknown(why) => said("failed, and may have happened", why),
        EffectResult::Failed(why) => said("failed", why),
    }
}

fn capability(capability: Capability) -> &'static str {
    match capability {
        Capability::Fs => "fs",
        Capability::Http => "http",
        Capability::Env => "env",
        Capability::Secret => "secret",
        Capability::Kv => "kv",
        Capability::Sockets => "sockets",
        Capability::Clock => "clock",
        Capability::Random => "random",
        Capability::Log => "log",
    }
}

fn class(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Pure => "pure",
        EffectClass::Read => "read",
        EffectClass::OwnedWrite => "owned write",
        EffectClass::KeyedWrite => "keyed write",
        EffectClass::OpaqueWrite => "opaque write",
    }
}
