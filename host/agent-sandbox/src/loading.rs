//! Loading: from bytes to a component that can be called. The steps of `Sandbox::load`, in order: look, compile or take from
//! the cache, check the imports, link, find the operations.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use agent_core::config::exports::ExportRules;
use agent_core::digest::Digest;
use agent_core::json::JsonText;
use agent_core::name::{Name, ToolName};
use agent_core::tool::ToolDescriptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component as Code, InstancePre};

use crate::bindings::ToolPre;
use crate::bindings::reconciler::ReconcilerPre;
use crate::cache::{CacheRejected, CodeId};
use crate::code::VerifiedCode;
use crate::compile::{self, CompileRequest};
use crate::component::{CodeOrigin, Component, Entry, Import, LoadError};
use crate::defence::{Defence, is_off};
use crate::describe::world::{self, NoAnswer};
use crate::describe::{Description, Door, Unsupported, Unusable, docs_section, exports, selection};
use crate::distant::DistantCalls;
use crate::own_world::{self, OtherWorld, Own};
use crate::pace::Pace;
use crate::plain_text::error_line;
use crate::sandbox::{Compiling, Sandbox};
use crate::state::CallState;
use crate::{hosts, plain_text, structure};

/// Longest name of an import in a message.
const IMPORT_CHARS_MAX: usize = 200;

/// A compile that takes longer is announced.
const COMPILE_ANNOUNCED_AFTER: Duration = Duration::from_millis(300);

/// A larger component is announced at once: it will take that long.
const COMPILE_ANNOUNCED_FROM_BYTES: usize = 1 << 20;

/// The interface by which a component describes itself, in the version that we know and its later patches.
const TOOLS_INTERFACE: &str = "agent-host:tool/tools@0.1.";

/// The interface by which such a component finds out what became of a call in doubt.
const RECONCILE_INTERFACE: &str = "agent-host:tool/reconcile@0.1.";

impl Sandbox {
    /// Loads a component: checks it, compiles it or takes its code from the cache, links it and finds out what it offers.
    /// May take seconds: for threads that may block.
    ///
    /// # Errors
    /// Where it cannot be used, with what the user can do about it.
    pub fn load(&self, name: &Name, bytes: &[u8]) -> Result<Arc<Component>, LoadError> {
        self.load_by(name, bytes, &ExportRules::default())
    }

    /// The same, where a manifest says which exports are tools.
    ///
    /// # Errors
    /// As [`Sandbox::load`], and where the rules do not fit the component.
    pub fn load_by(&self, name: &Name, bytes: &[u8], rules: &ExportRules) -> Result<Arc<Component>, LoadError> {
        structure::check(bytes)?;
        let digest = Digest::of(bytes);
        let (code, origin) = self.code(name, digest, bytes)?;
        self.check_world(&code)?;
        let imports = self.imports(&code)?;
        let pre = self.linked(&code).map_err(|error| unlinked(&imports, error_line(&error)))?;
        let offer = self.offer(&code, pre, bytes)?;
        let selected = selection::select(offer.descriptions, rules);
        let selected = selected.map_err(|Unusable(problem)| LoadError::Exports(problem))?;
        Ok(Arc::new(Component {
            exports: selected.descriptions.iter().map(|description| description.export.clone()).collect(),
            tools: selected.descriptions.into_iter().map(|description| descriptor(name, description)).collect(),
            own_names: selected.own_names,
            name: name.clone(),
            digest,
            door: offer.door,
            imports,
            unsupported: offer.unsupported,
            code: origin,
            entry: offer.entry,
            pace: Pace::default(),
            distant: DistantCalls::default(),
            resolver: Arc::default(),
        }))
    }

    fn code(&self, name: &Name, component: Digest, bytes: &[u8]) -> Result<(Code, CodeOrigin), LoadError> {
        let id = CodeId { component, settings: self.settings.digest };
        let rejected = match self.cached(id) {
            Ok(None) => None,
            Ok(Some(code)) => match self.map(&code) {
                Ok(code) => return Ok((code, CodeOrigin::Cached)),
                Err(too_many @ LoadError::TooManyParts(_)) => return Err(too_many),
                Err(_) => None,
            },
            Err(rejected) => Some(rejected),
        };
        if let Some(reason) = &rejected {
            tracing::warn!(component = %name, %reason, "cache_rejected: the component is compiled anew");
        }
        let started = Instant::now();
        let code = self.compile(name, bytes)?;
        self.keep(id, &code);
        Ok((self.map(&code)?, CodeOrigin::Compiled { took: started.elapsed(), rejected }))
    }

    fn cached(&self, id: CodeId) -> Result<Option<VerifiedCode>, CacheRejected> {
        match &self.cache {
            None => Ok(None),
            Some(Ok(cache)) => cache.load(id),
            Some(Err(rejected)) => Err(rejected.clone()),
        }
    }

    /// Only here is it known whether the pool has room for the component: the compiler has none.
    fn map(&self, code: &VerifiedCode) -> Result<Code, LoadError> {
        code.deserialize(&self.engine).map_err(|error| LoadError::refused(error_line(&error)))
    }

    /// A cache that cannot be written costs the next start some time, nothing else.
    fn keep(&self, id: CodeId, code: &VerifiedCode) {
        let (Some(Ok(cache)), VerifiedCode::Bytes(bytes)) = (&self.cache, code) else { return };
        if let Err(reason) = cache.store(id, bytes) {
            tracing::warn!(%reason, "compiled code could not be kept");
        }
    }

    fn compile(&self, name: &Name, bytes: &[u8]) -> Result<VerifiedCode, LoadError> {
        let _announcement = self.announce(name, bytes.len());
        let request = CompileRequest::new(bytes);
        compile::code_in(&request, self.compiler.compile(&request)?)
    }

    /// Says that a compile is under way: at once for a large component, else when it takes a while.
    fn announce(&self, name: &Name, bytes: usize) -> Option<DropGuard> {
        let tell = Arc::clone(self.on_compile.as_ref()?);
        let compiling = Compiling { component: name.clone(), bytes };
        if bytes >= COMPILE_ANNOUNCED_FROM_BYTES {
            tell(&compiling);
            return None;
        }
        let done = CancellationToken::new();
        let waiting = done.clone();
        self.guests.spawn(async move {
            tokio::select! {
                () = waiting.cancelled() => {}
                () = tokio::time::sleep(COMPILE_ANNOUNCED_AFTER) => tell(&compiling),
            }
        });
        Some(done.drop_guard())
    }

    /// What is made for another version of our own world would be taken for something else: its interfaces for plain functions.
    fn check_world(&self, code: &Code) -> Result<(), LoadError> {
        let ty = code.component_type();
        let names =
            ty.imports(&self.engine).map(|(name, _)| name).chain(ty.exports(&self.engine).map(|(name, _)| name));
        own_world::other(names).map_or(Ok(()), |other| Err(LoadError::OtherWorld(other)))
    }

    /// The component's own types are the truth about what it wants.
    fn imports(&self, code: &Code) -> Result<Vec<Import>, LoadError> {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (name, item) in code.component_type().imports(&self.engine) {
            match hosts::known_capability(name) {
                Some(capability) => known.push(Import { name: name.to_owned(), capability }),
                // A bare type that an imported function mentions asks for nothing.
                None if matches!(item.ty, ComponentItem::Type(_)) => {}
                None => unknown.push(plain_text::one_line(name, IMPORT_CHARS_MAX)),
            }
        }
        if unknown.is_empty() || is_off(Defence::Imports) {
            Ok(known)
        } else {
            Err(LoadError::UnknownImport { imports: unknown })
        }
    }

    fn linked(&self, code: &Code) -> wasmtime::Result<InstancePre<CallState>> {
        if !is_off(Defence::Imports) {
            return self.linker.instantiate_pre(code);
        }
        let mut linker = self.linker.clone();
        linker.define_unknown_imports_as_traps(code)?;
        linker.instantiate_pre(code)
    }

    fn offer(&self, code: &Code, pre: InstancePre<CallState>, bytes: &[u8]) -> Result<Offer, LoadError> {
        let ty = code.component_type();
        let exported =
            |interface: &str| ty.exports(&self.engine).map(|(name, _)| name).find(|name| name.starts_with(interface));
        if let Some(tools) = exported(TOOLS_INTERFACE) {
            return self.offer_of_world(pre, tools, exported(RECONCILE_INTERFACE));
        }
        let found = docs_section::read(bytes).and_then(|docs| exports::find(code, &docs))?;
        Ok(Offer {
            door: Door::Exports,
            descriptions: found.descriptions,
            unsupported: found.unsupported,
            entry: Entry::Exports { pre, operations: found.operations },
        })
    }

    fn offer_of_world(
        &self,
        pre: InstancePre<CallState>,
        tools: &str,
        reconcile: Option<&str>,
    ) -> Result<Offer, LoadError> {
        let differing =
            |interface: &str, difference: &str| LoadError::OtherWorld(OtherWorld::differing(interface, difference));
        let reconciler = reconcile
            .map(|name| ReconcilerPre::new(pre.clone()).map_err(|error| differing(name, &error_line(&error))))
            .transpose()?;
        let pre = ToolPre::new(pre).map_err(|error| differing(tools, &error_line(&error)))?;
        // One question at a time: the pool has one slot for it.
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let (engine, question, reconciles) = (self.engine.clone(), pre.clone(), reconciler.is_some());
        let answer = self.guests.wait(async move { world::ask(&engine, question, reconciles).await });
        let answer = answer.ok_or_else(|| Unusable("the host failed while it asked for the tools".to_owned()))?;
        let descriptions = answer.map_err(|no_answer| match no_answer {
            NoAnswer::Unusable(unusable) => unusable.into(),
            NoAnswer::Misfit(Own::Tools, difference) => differing(tools, &difference),
            NoAnswer::Misfit(Own::Reconcile, difference) => differing(reconcile.unwrap_or(tools), &difference),
        })?;
        Ok(Offer { door: Door::World, descriptions, unsupported: Vec::new(), entry: Entry::World { pre, reconciler } })
    }
}

/// Why a component is not linked. Of an interface of ours it is said which version it wants.
fn unlinked(imports: &[Import], problem: String) -> LoadError {
    match own_world::differing(imports.iter().map(|import| import.name.as_str()), &problem) {
        Some(other) => LoadError::OtherWorld(other),
        None => LoadError::Link(problem),
    }
}

/// What a component turned out to offer.
struct Offer {
    door: Door,
    descriptions: Vec<Description>,
    unsupported: Vec<Unsupported>,
    entry: Entry,
}

fn descriptor(component: &Name, description: Description) -> ToolDescriptor {
    ToolDescriptor {
        name: ToolName { component: component.clone(), operation: description.operation },
        description: description.description,
        input_schema: JsonText::from_value(&description.input_schema),
        output_schema: description.output_schema.as_ref().map(JsonText::from_value),
    }
}
