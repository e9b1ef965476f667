//! `agent-host show RUN --effects`: what each call did to the world, or would have.

use std::io::{self, Write};

use agent_core::effect::{Decision, Effect, EffectClass, EffectResult};
use agent_core::event::EffectIntended;
use agent_core::grant::Capability;

use super::run::{LINE_CHARS_MAX, write_rule};
use super::story::Effects;
use super::{QUIET, text};

pub(super) fn write(effects: &Effects<'_>, out: &mut dyn Write) -> io::Result<()> {
    effects.recorded.iter().try_for_each(|effect| write_recorded(effect, out))?;
    effects.announced.iter().try_for_each(|intended| write_announced(intended, out))
}

fn write_recorded(effect: &Effect, out: &mut dyn Write) -> io::Result<()> {
    let (capability, request) = (capability(effect.request.capability()), effect.request.to_string());
    writeln!(out, "    effect {}  {capability}  {}", effect.number, text::line(&request, LINE_CHARS_MAX))?;
    let egress = if effect.egress { ", egress" } else { "" };
    let secrets = secrets(effect);
    let (class, bytes) = (class(effect.class), format!("{} out, {} in", effect.bytes_out, effect.bytes_in));
    writeln!(out, "      {class}{egress}{secrets}{QUIET} · {bytes} · {}{QUIET:#}", effect.duration)?;
    writeln!(out, "      {}", result(&effect.result))?;
    match &effect.decision {
        Decision::Allow { rule } => write_rule(&format!("allowed by {rule}"), None, out),
        Decision::Deny { refusal, rule, hint } => write_rule(&format!("{refusal}: {rule}"), hint.as_deref(), out),
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
