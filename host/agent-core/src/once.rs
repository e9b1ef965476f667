//! Effects that a person permitted once, though nothing grants them: which of these permits still say anything. Part of what a
//! call was told ([`crate::approval::Asked`]); the gate of a call reads it.
//!
//! A permit is for one effect of one attempt and used by being given: the attempt asks, the permit is recorded, and the effect
//! happens. Whatever the attempt does next has another number and is asked about by itself. So nothing of a permit is left that a
//! later attempt could use: one that begins anew asks anew, also where its host was killed before anything came of the permit,
//! since nobody knows that. Only an attempt that does the same again along the record is not asked again about what was done then.

use crate::answer_events::EffectPermitted;
use crate::effect::EffectRequest;
use crate::grant::RuleSource;

/// The rule that the record of such an effect names.
const RULE: &str = "the operator, this once";

/// The permits of one call, in the order in which they were given. A person gave each of them, so there are few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permits(Vec<Permit>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Permit {
    attempt: u32,
    number: u32,
    request: EffectRequest,
    standing: Standing,
}

/// Whether a permit is for what goes on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was given to the last attempt, or to one that this does again along its record.
    Holds,
    /// The same, but another host vouches for the run since: what was done by it is told again, and not done again.
    IsTold,
    /// The call began anew since.
    Over,
}

/// What the record of an effect names that a person permitted once.
#[must_use]
pub fn rule() -> RuleSource {
    RuleSource(RULE.to_owned())
}

/// Whether it was a person's word for one effect that allowed it.
#[must_use]
pub fn is_by(rule: &RuleSource) -> bool {
    rule.0 == RULE
}

impl Permits {
    /// Notes one. An attempt is given one for each effect at most.
    pub(crate) fn give(&mut self, body: &EffectPermitted) -> Result<(), &'static str> {
        let EffectPermitted { call: _, attempt, number, request, by: _ } = body;
        if self.0.iter().any(|permit| (permit.attempt, permit.number) == (*attempt, *number)) {
            return Err("the effect was permitted already");
        }
        let (attempt, number, request) = (*attempt, *number, request.clone());
        self.0.push(Permit { attempt, number, request, standing: Standing::Holds });
        Ok(())
    }

    /// None of those so far says anything any more.
    pub(crate) fn end(&mut self) {
        self.0.iter_mut().for_each(|permit| permit.standing = Standing::Over);
    }

    /// Nothing is done by any of those so far any more.
    pub(crate) fn keep_to_tell(&mut self) {
        let holding = self.0.iter_mut().filter(|permit| permit.standing == Standing::Holds);
        holding.for_each(|permit| permit.standing = Standing::IsTold);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this effect was permitted to the attempt that goes on, or to one that it does again along its record. What is done
    /// again may happen by that, and nothing else.
    #[must_use]
    pub fn hold(&self, number: u32, request: &EffectRequest) -> bool {
        self.for_such(number, request).any(|permit| permit.standing == Standing::Holds)
    }

    /// Whether what is only told of this effect was done by such a permit.
    #[must_use]
    pub fn tell_of(&self, number: u32, request: &EffectRequest) -> bool {
        self.for_such(number, request).any(|permit| permit.standing != Standing::Over)
    }

    /// Whether the same was permitted to an attempt of the call before, though it must be asked about now: for people.
    #[must_use]
    pub fn have_held(&self, number: u32, request: &EffectRequest) -> bool {
        self.for_such(number, request).next().is_some()
    }

    fn for_such(&self, number: u32, request: &EffectRequest) -> impl Iterator<Item = &Permit> {
        self.0.iter().filter(move |permit| (permit.number, &permit.request) == (number, request))
    }
}
