//! One client: its requests, turned into calls of the server, and the news of its calls, turned into notifications. What of the
//! protocol is not here we do not offer, and the library says so.

// Logging is on its way out of the protocol, and clients of today use it.
#![expect(deprecated, reason = "clients of earlier versions of the protocol have nothing else")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use agent_core::client_events;
use futures::FutureExt;
use futures::future::BoxFuture;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, InitializeResult, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use rmcp::{ErrorData as McpError, ServerHandler};
use serde_json::json;
use tokio::sync::mpsc;

use super::raw_arguments::RawArguments;
use super::server::{Answered, Server, Wish};
use super::teller::{INFO, Teller, rank};
use super::tool_set::Tools;
use crate::driver::callers::{CanAsk, Line, NEWS_MAX, News};
use crate::report::text;

/// Longest name of a tool or client that is taken down.
const NAME_CHARS_MAX: usize = 128;
/// Longest token of a client that wants to hear of progress: it comes back with every word. With a longer one it hears of none.
const TOKEN_BYTES_MAX: usize = 256;
/// How long news that came before the end of a call are passed on before its answer.
const LAST_NEWS_WAIT: Duration = Duration::from_secs(2);

/// Who answers questions about calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// The person at the client, where it can ask one.
    Client,
    /// Nobody: what a rule asks about is refused.
    Nobody,
}

/// What was served when the headers of a request were held against it. The door puts it there.
#[derive(Clone)]
pub struct Seen(pub Arc<Tools>);

/// One client's view of the server.
pub struct Client {
    server: Arc<Server>,
    asks: Asks,
    /// The least level that the client wants to hear of, as its [`rank`].
    level: AtomicU8,
}

impl Client {
    /// A client that has not said anything yet.
    #[must_use]
    pub fn new(server: Arc<Server>, asks: Asks) -> Self {
        Self { server, asks, level: AtomicU8::new(INFO) }
    }

    async fn make_call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, McpError> {
        let name = request.name.to_string();
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(McpError::invalid_params("no tool has so long a name", None));
        }
        let (told, news) = mpsc::channel(NEWS_MAX);
        let teller = self.teller(&context);
        let line = Line { cancel: self.server.stop.child_token(), news: Some(told), can_ask: self.can_ask(&context) };
        let cancel = line.cancel.clone();
        let arguments = arguments(&request, &context);
        // What the library made of them is many times as large, and is not kept while the call goes on.
        drop(request);
        let (client, seen) = (client_of(&context), seen(&context));
        let wish = Wish { name: &name, arguments, client, request: cut(&context.id.to_string()), seen };
        let call = self.server.call(wish, line);
        let given_up = async { context.ct.cancelled().await };
        match attend(call, given_up, &cancel, news, &teller).await {
            Answered::Result(result) => Ok(result.into()),
            Answered::UnknownTool => {
                Err(McpError::invalid_params(format!("unknown tool: `{}`", text::line(&name, NAME_CHARS_MAX)), None))
            }
            Answered::Changed => {
                let what = "the tool was changed while its call was on its way: list the tools, and call it again";
                Err(McpError::invalid_params(what, None))
            }
            Answered::Ended => Err(McpError::internal_error("the host cannot record anything any more", None)),
        }
    }

    fn can_ask(&self, context: &RequestContext<RoleServer>) -> CanAsk {
        if self.asks == Asks::Nobody {
            return CanAsk::No("this server was started to ask nobody");
        }
        let modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let elicits = context.client_capabilities().is_some_and(|client| client.elicitation.is_some());
        match (elicits, modern) {
            (true, false) => CanAsk::Yes,
            (true, true) => CanAsk::No("over this version of the protocol a call cannot ask while it goes on"),
            (false, _) => CanAsk::No("this client cannot ask one (it has no elicitation)"),
        }
    }

    fn teller(&self, context: &RequestContext<RoleServer>) -> Teller {
        let modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let level = match (context.meta.log_level(), modern) {
            (Some(level), _) => Some(rank(level)),
            // Who does not ask for logs with a call gets none.
            (None, true) => None,
            (None, false) => Some(self.level.load(Ordering::Relaxed)),
        };
        let token = context.meta.get_progress_token().filter(|token| token.0.to_string().len() <= TOKEN_BYTES_MAX);
        Teller { peer: context.peer.clone(), token, level }
    }
}

impl ServerHandler for Client {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_logging().enable_tools().enable_tool_list_changed().build();
        let me = Implementation::new("agent-host", env!("CARGO_PKG_VERSION"))
            .with_description("Runs tools as WebAssembly components, each call confined, metered and recorded.");
        InitializeResult::new(capabilities).with_server_info(me)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, McpError> {
        Ok(ListToolsResult::with_all_items(self.server.list()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, McpError> {
        self.make_call(request, context).await
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.server.tool(name)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        self.level.store(rank(request.level), Ordering::Relaxed);
        Ok(())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut changes, stop, peer) = (self.server.changes(), self.server.stop.clone(), context.peer);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
                // Nobody is there any more.
                if peer.notify_tool_list_changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.intersection(&SubscriptionFilter::builder().tools_list_changed().build()))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), McpError> {
        let mut changes = self.server.changes();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.server.stop.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
            if context.sink().notify_tool_list_changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The arguments as the client wrote them, where the transport kept that.
fn arguments(request: &CallToolRequestParams, context: &RequestContext<RoleServer>) -> String {
    let raw = context.extensions.get::<RawArguments>();
    let by_http = || of_http::<RawArguments>(context);
    let read = || request.arguments.as_ref().map_or_else(|| "{}".to_owned(), |read| json!(read).to_string());
    raw.or_else(by_http).map_or_else(read, |raw| raw.0.clone())
}

/// What the door put beside a request.
fn of_http<T: Clone + Send + Sync + 'static>(context: &RequestContext<RoleServer>) -> Option<&T> {
    context.extensions.get::<http::request::Parts>()?.extensions.get()
}

fn seen(context: &RequestContext<RoleServer>) -> Option<Arc<Tools>> {
    of_http::<Seen>(context).map(|seen| Arc::clone(&seen.0))
}

/// Who calls, as it calls itself.
fn client_of(context: &RequestContext<RoleServer>) -> client_events::Client {
    let client = context.client_info();
    let name = client.as_ref().map(|client| cut(&client.name)).unwrap_or_default();
    let version = client.as_ref().map(|client| cut(&client.version)).unwrap_or_default();
    let protocol = context.protocol_version().map(|version| cut(version.as_str()));
    client_events::Client { name, version, protocol }
}

/// What a client calls something.
fn cut(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

/// Waits for a call and passes on what is told of it meanwhile. A client that does not read holds up its own news alone.
async fn attend<T>(
    call: impl Future<Output = T>,
    given_up: impl Future<Output = ()>,
    cancel: &tokio_util::sync::CancellationToken,
    mut news: mpsc::Receiver<News>,
    teller: &Teller,
) -> T {
    tokio::pin!(call, given_up);
    let mut telling: Option<BoxFuture<'_, ()>> = None;
    let mut waits = true;
    let answered = loop {
        tokio::select! {
            biased;
            answered = &mut call => break answered,
            () = &mut given_up, if waits => {
                waits = false;
                cancel.cancel();
            }
            () = async { if let Some(telling) = &mut telling { telling.await } }, if telling.is_some() => telling = None,
            Some(told) = news.recv(), if telling.is_none() => telling = Some(teller.tell(told).boxed()),
        }
    };
    // What was said before the end comes before the answer.
    let rest = async {
        if let Some(telling) = telling {
            telling.await;
        }
        while let Ok(told) = news.try_recv() {
            teller.tell(told).await;
        }
    };
    if waits {
        let _ = tokio::time::timeout(LAST_NEWS_WAIT, rest).await;
    }
    answered
}
