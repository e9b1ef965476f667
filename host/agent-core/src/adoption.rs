//! A run that began on another host and goes on here. `RunAdopted` ends what that other host said about authority: what the
//! tools hold is held to this host's own rules as well, and no approval of before counts. The shell says what is refused
//! altogether and shows the rest to the operator; see `agent-host journal import`.

use crate::config::authority::{ApprovalRule, Authority, DenyRule};
use crate::config::host_path::HostPath;
use crate::config::problem::{Problem, ProblemKind, Problems};
use crate::config::resolve::{ToolAuthority, linked_for, unchanging_in, unmoved_in};
use crate::event::Event;
use crate::grant::Access;
use crate::run_events::RunAdopted;
use crate::state::{Phase, State};

impl Event {
    /// What tools hold by what the event says: all of the run's, or the one of which it speaks.
    #[must_use]
    pub fn authorities(&self) -> Vec<&ToolAuthority> {
        match self {
            Self::RunStarted(body) => body.tools.iter().map(|tool| &tool.authority).collect(),
            Self::RunRebased(body) => body.tools.iter().map(|tool| &tool.authority).collect(),
            Self::RunAdopted(body) => body.authorities.iter().collect(),
            Self::GrantWidened(body) => vec![&body.authority],
            Self::ModelRequested(_)
            | Self::ModelReplied(_)
            | Self::ModelFailed(_)
            | Self::ToolProposed(_)
            | Self::ApprovalRequested(_)
            | Self::ApprovalDecided(_)
            | Self::EffectPermitted(_)
            | Self::ToolStarted(_)
            | Self::FuelTaken(_)
            | Self::EffectIntended(_)
            | Self::EffectDone(_)
            | Self::PathsMarked(_)
            | Self::CallUndone(_)
            | Self::ToolSuspended(_)
            | Self::ToolFinished(_)
            | Self::ToolInDoubt(_)
            | Self::DoubtResolved(_)
            | Self::ChangesUndone(_)
            | Self::RunResumed(_)
            | Self::HeadSigned(_)
            | Self::RunEnded(_) => Vec::new(),
        }
    }
}

impl State {
    /// Takes what the tools hold from now on, and forgets every approval: who gave it, and when, only the other host could
    /// know. A no stays one; what is not answered is asked again by the host that takes the run up.
    pub(crate) fn run_adopted(&mut self, body: &RunAdopted) -> Result<(), &'static str> {
        let names = self.descriptors.iter().map(|tool| &tool.name);
        if !names.eq(body.authorities.iter().map(|authority| &authority.tool)) {
            return Err("it does not say what each tool of the run holds");
        }
        self.authorities.clone_from(&body.authorities);
        // What the run is moved to later begins with them, too.
        for (tool, authority) in self.started.tools.iter_mut().zip(&body.authorities) {
            tool.authority.clone_from(authority);
        }
        match &mut self.phase {
            Phase::Acting(calls) | Phase::Serving(calls) => {
                calls.iter_mut().for_each(|call| call.asked.forget_approvals());
            }
            Phase::Asking(_) | Phase::Answered(_) => {}
        }
        Ok(())
    }
}

impl ToolAuthority {
    /// This authority, which other rules made, under `rules` as well: what they deny is denied and what they ask about is
    /// asked, as if they had been there when the run began.
    ///
    /// # Errors
    /// What it holds and could not hold under them: a call that is forbidden, a denied secret, a directory that is denied,
    /// lies in a denied one or is around it.
    pub fn held_to(&self, rules: &[Authority]) -> Result<Self, Problems> {
        let mut held = self.clone();
        let mut problems = Vec::new();
        for deny in rules.iter().flat_map(|rules| &rules.denies).filter(|rule| rule.selector.covers(&self.tool)) {
            problems.extend(self.exceeds(deny));
            if !held.denies.contains(deny) {
                held.denies.push(deny.clone());
            }
        }
        held.leave_unchanging();
        let approvals = rules.iter().flat_map(|rules| &rules.approvals);
        let new = |rule: &&ApprovalRule| rule.selector.covers(&self.tool) && !self.approvals.contains(rule);
        held.approvals.extend(approvals.filter(new).cloned());
        Problems::none_of(problems)?;
        Ok(held)
    }

    /// What stays as it is by its rules is left out of what it may change.
    fn leave_unchanging(&mut self) {
        for fs in &mut self.grant.fs {
            // One that cannot be read was refused.
            if let Ok(host) = fs.host.parse() {
                add_new(&mut fs.unchanging, unchanging_in(&host, fs.access, &self.denies));
                add_new(&mut fs.unmoved, unmoved_in(&host, fs.access, &self.denies));
                add_new(&mut fs.linked, linked_for(fs.access, &self.denies));
            }
        }
    }

    /// What it holds that the rule denies, where that is not seen to at each effect.
    fn exceeds(&self, deny: &DenyRule) -> Vec<Problem> {
        let tool = &self.tool;
        let problem = |message| Problem::at_source(ProblemKind::GrantExceedsPolicy, &deny.source, message);
        let forbidden = deny.forbids_tool().then(|| problem(format!("`{tool}` is never called here")));
        let secrets = self.grant.secrets.iter().filter(|secret| deny.secrets.contains(&secret.name));
        let secrets =
            secrets.map(|secret| problem(format!("`{tool}` uses the secret {}, which is denied", secret.name)));
        let directories = self.grant.fs.iter().filter_map(|fs| match fs.host.parse::<HostPath>() {
            Ok(host) => {
                let is_unchanging = |path: &&HostPath| fs.access == Access::Write && path.contains(&host);
                let denied = deny.fs.iter().find(|denied| denied.contains(&host) || host.contains(denied));
                let denied = denied.or_else(|| deny.unchanging.iter().find(is_unchanging))?;
                Some(problem(format!("`{tool}` holds `{host}`, and `{denied}` is denied")))
            }
            Err(error) => Some(problem(format!("`{tool}` holds what cannot be granted: {error}"))),
        });
        forbidden.into_iter().chain(secrets).chain(directories).collect()
    }
}

fn add_new<T: PartialEq>(held: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !held.contains(&one) {
            held.push(one);
        }
    }
}
