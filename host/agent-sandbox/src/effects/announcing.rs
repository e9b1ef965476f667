//! What of an effect goes into the journal before it happens, and after it: announced changes and sends, and what came of them.
//! Nothing is announced once the call is over, and a call of which something could not be recorded ends.

use agent_core::effect::{Effect, EffectClass, EffectRequest};
use agent_core::open_file::OpenFile;
use agent_core::path_state::PathMark;
use agent_core::units::Fuel;

use crate::effects::{Effects, Permit};
use crate::gate::{ChangeIntent, GateClosed, IdempotencyKey, SendIntent, Undo};
use crate::transcript::{SharedTranscript, TranscriptSnapshot};

impl Effects {
    /// Announces a change. What is returned must not be ignored: without the record the change must not happen.
    pub(crate) async fn intend_change(
        &self,
        number: u32,
        request: EffectRequest,
        undo: Vec<Undo>,
    ) -> Result<(), GateClosed> {
        let _announcing = self.announce().await?;
        let intent = ChangeIntent { number, request: self.secrets.without_secrets(request), undo };
        self.closing(self.gate.intend_change(intent).await)
    }

    /// Records what is known of announced paths. Never waits: whoever closes a file cannot.
    pub(crate) fn mark_changes(&self, marks: Vec<PathMark>) -> Result<(), GateClosed> {
        // Held meanwhile, so that nothing is recorded once the call is over.
        let mut book = self.book();
        if let Some(closed) = &book.closed {
            return Err(closed.clone());
        }
        let marked = self.gate.mark_changes(marks);
        if let Err(closed) = &marked {
            book.closed = Some(closed.clone());
        }
        marked
    }

    /// Keeps how an open file stands. Never waits.
    pub(crate) fn follow(&self, file: &OpenFile) -> Result<(), GateClosed> {
        let mut book = self.book();
        if let Some(closed) = &book.closed {
            return Err(closed.clone());
        }
        let followed = self.gate.follow(file);
        if let Err(closed) = &followed {
            book.closed = Some(closed.clone());
        }
        followed
    }

    /// Takes more of the call's fuel. Never waits.
    pub(crate) fn take_fuel(&self, fuel: Fuel) -> Result<(), GateClosed> {
        if let Some(closed) = &self.book().closed {
            return Err(closed.clone());
        }
        self.closing(self.gate.take_fuel(fuel))
    }

    /// Announces a change of files that is not to be undone, once for each effect. It is not continued in the middle either,
    /// so no transcript is kept of it.
    pub(crate) async fn intend_opaque_change(&self, number: u32, request: EffectRequest) -> Result<(), GateClosed> {
        let _announcing = self.announce().await?;
        if !self.book().opaque.insert(number) {
            return Ok(());
        }
        let (class, transcript) = (EffectClass::OpaqueWrite, TranscriptSnapshot::none());
        let request = self.secrets.without_secrets(request);
        self.closing(self.gate.intend_send(SendIntent { number, request, class, transcript }).await).map(drop)
    }

    /// Records that an announced change of files did not happen after all.
    pub(crate) async fn clear_doubt(&self, number: u32) -> Result<(), GateClosed> {
        let effect = {
            let mut book = self.book();
            let announced = book.opaque.remove(&number);
            book.kept.get(&number).filter(|_| announced).cloned()
        };
        match effect {
            Some(effect) => self.record_done(&effect).await,
            None => Ok(()),
        }
    }

    /// Records how the announced changes of files ended, in a call that was not stopped: `effects` are its own. In one that was
    /// stopped they stay in doubt, since nobody can undo them.
    pub(crate) async fn clear_doubts(&self, effects: &[Effect]) -> Result<(), GateClosed> {
        let announced = std::mem::take(&mut self.book().opaque);
        for effect in effects.iter().filter(|effect| announced.contains(&effect.number)) {
            self.record_done(effect).await?;
        }
        Ok(())
    }

    /// Ends the call as far as the gate is concerned: once this returns, nothing more is decided or announced, though file
    /// work of the call may still be going on.
    pub(crate) async fn shut(&self) {
        let _announcing = self.announcing.lock().await;
        self.book().closed.get_or_insert_with(|| GateClosed("the call is over".to_owned()));
    }

    /// Announces a send.
    pub(crate) async fn intend_send(
        &self,
        permit: &Permit,
        transcript: &SharedTranscript,
    ) -> Result<Option<IdempotencyKey>, GateClosed> {
        // Held over both, so that the parts of the transcript are recorded in their order.
        let _announcing = self.announce().await?;
        let (news, place) = transcript.news();
        let request = self.secrets.without_secrets(permit.request.clone());
        let (number, class) = (permit.number, permit.ruling.class);
        let intent = SendIntent { number, request, class, transcript: news };
        let key = self.closing(self.gate.intend_send(intent).await)?;
        transcript.kept(place);
        Ok(key)
    }

    /// Records an answer to a send durably, before the guest sees it.
    pub(crate) async fn done(&self, effect: &Effect, answer: &[u8]) -> Result<(), GateClosed> {
        let _announcing = self.announce().await?;
        self.closing(self.gate.keep_answer(effect.number, answer).await)?;
        self.record_done(effect).await
    }

    async fn record_done(&self, effect: &Effect) -> Result<(), GateClosed> {
        let mut effect = effect.clone();
        self.secrets.scrub_effect(&mut effect);
        self.closing(self.gate.done(&effect).await)
    }

    async fn announce(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, GateClosed> {
        let announcing = self.announcing.lock().await;
        let closed = self.book().closed.clone();
        closed.map_or(Ok(announcing), Err)
    }

    fn closing<T>(&self, recorded: Result<T, GateClosed>) -> Result<T, GateClosed> {
        if let Err(closed) = &recorded {
            self.book().closed.get_or_insert_with(|| closed.clone());
        }
        recorded
    }
}
