//! `wasi:sockets`: linked, so that any component instantiates, and refused. There is no sockets capability.
//!
//! A guest can ask for a socket or for a name's addresses; both are refused with a record. No guest ever holds a socket, so
//! the methods of sockets cannot be reached: they end the call, should this host be wrong about that.

use agent_core::effect::{EffectRequest, Refusal};
use agent_core::outcome::Fault;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{ShutdownType, TcpSocket};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, ip_name_lookup, network, tcp, tcp_create_socket, udp, udp_create_socket,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, SocketError, SocketResult};

use crate::state::{CallState, table_stop};
use crate::stop::Stop;
use crate::transcript::Operation as Op;

const RULE: &str = "raw sockets cannot be granted";
const HINT: &str = "use wasi:http and --allow-net HOST";

/// What stands behind a handle of the network: it permits nothing.
struct NoNetwork;

impl CallState {
    fn refuse_socket(&mut self, operation: &str) -> SocketError {
        let request = EffectRequest::Socket { operation: operation.to_owned() };
        self.effects.refuse(request, Refusal::NetDenied, RULE, Some(HINT));
        ErrorCode::AccessDenied.into()
    }
}

impl network::Host for CallState {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.pay()?;
        Ok(None)
    }
}

impl network::HostNetwork for CallState {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.pay()?;
        self.forget(network.rep());
        self.table.delete(Resource::<NoNetwork>::new_own(network.rep())).map_err(table_stop)?;
        Ok(())
    }
}

impl instance_network::Host for CallState {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        self.pay()?;
        Ok(Resource::new_own(self.push(NoNetwork)?.rep()))
    }
}

impl tcp_create_socket::Host for CallState {
    fn create_tcp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.ask(Op::CreateSocket, &[], &0_u8)?;
        let refused = self.refuse_socket("wasi:sockets/tcp-create-socket create-tcp-socket");
        self.answer(Err(refused))
    }
}

impl udp_create_socket::Host for CallState {
    async fn create_udp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.ask(Op::CreateSocket, &[], &1_u8)?;
        let refused = self.refuse_socket("wasi:sockets/udp-create-socket create-udp-socket");
        self.answer(Err(refused))
    }
}

impl ip_name_lookup::Host for CallState {
    fn resolve_addresses(
        &mut self,
        _network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ip_name_lookup::ResolveAddressStream>> {
        self.ask(Op::ResolveAddresses, &[], &name)?;
        let refused = self.refuse_socket(&format!("wasi:sockets/ip-name-lookup resolve-addresses {name}"));
        self.answer(Err(refused))
    }
}

/// Why a method of a socket was not reached by a well-behaved wasmtime.
fn unreached() -> Stop {
    Stop::fault(Fault::GuestTrap, "the tool used a socket although it holds none")
}

/// Writes the methods of a trait whose resource no guest can hold.
macro_rules! without_sockets {
    (impl $host:path { $($body:tt)* }) => {
        impl $host for CallState {
            without_sockets!(@methods $($body)*);
        }
    };
    (@methods) => {};
    (@methods async fn $name:ident($($argument:ty),*) -> $result:ty; $($rest:tt)*) => {
        without_sockets!(@one [async] $name ($($argument),*) $result);
        without_sockets!(@methods $($rest)*);
    };
    (@methods fn $name:ident($($argument:ty),*) -> $result:ty; $($rest:tt)*) => {
        without_sockets!(@one [] $name ($($argument),*) $result);
        without_sockets!(@methods $($rest)*);
    };
    (@one [$($async:tt)?] $name:ident () $result:ty) => {
        $($async)? fn $name(&mut self) -> $result { Err(unreached().into()) }
    };
    (@one [$($async:tt)?] $name:ident ($a:ty) $result:ty) => {
        $($async)? fn $name(&mut self, _: $a) -> $result { Err(unreached().into()) }
    };
    (@one [$($async:tt)?] $name:ident ($a:ty, $b:ty) $result:ty) => {
        $($async)? fn $name(&mut self, _: $a, _: $b) -> $result { Err(unreached().into()) }
    };
    (@one [$($async:tt)?] $name:ident ($a:ty, $b:ty, $c:ty) $result:ty) => {
        $($async)? fn $name(&mut self, _: $a, _: $b, _: $c) -> $result { Err(unreached().into()) }
    };
}

type Names = Resource<ip_name_lookup::ResolveAddressStream>;
type Tcp = Resource<TcpSocket>;
type Udp = Resource<UdpSocket>;
type Incoming = Resource<IncomingDatagramStream>;
type Outgoing = Resource<OutgoingDatagramStream>;
type Pollable = wasmtime::Result<Resource<DynPollable>>;

without_sockets! {
    impl ip_name_lookup::HostResolveAddressStream {
        fn resolve_next_address(Names) -> SocketResult<Option<IpAddress>>;
        fn subscribe(Names) -> Pollable;
        fn drop(Names) -> wasmtime::Result<()>;
    }
}

impl tcp::Host for CallState {}

without_sockets! {
    impl tcp::HostTcpSocket {
        async fn start_bind(Tcp, Resource<Network>, IpSocketAddress) -> SocketResult<()>;
        fn finish_bind(Tcp) -> SocketResult<()>;
        fn start_connect(Tcp, Resource<Network>, IpSocketAddress) -> SocketResult<()>;
        fn finish_connect(Tcp) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)>;
        async fn start_listen(Tcp) -> SocketResult<()>;
        fn finish_listen(Tcp) -> SocketResult<()>;
        fn accept(Tcp) -> SocketResult<(Tcp, Resource<DynInputStream>, Resource<DynOutputStream>)>;
        fn local_address(Tcp) -> SocketResult<IpSocketAddress>;
        fn remote_address(Tcp) -> SocketResult<IpSocketAddress>;
        fn is_listening(Tcp) -> wasmtime::Result<bool>;
        fn address_family(Tcp) -> wasmtime::Result<IpAddressFamily>;
        fn set_listen_backlog_size(Tcp, u64) -> SocketResult<()>;
        fn keep_alive_enabled(Tcp) -> SocketResult<bool>;
        fn set_keep_alive_enabled(Tcp, bool) -> SocketResult<()>;
        fn keep_alive_idle_time(Tcp) -> SocketResult<u64>;
        fn set_keep_alive_idle_time(Tcp, u64) -> SocketResult<()>;
        fn keep_alive_interval(Tcp) -> SocketResult<u64>;
        fn set_keep_alive_interval(Tcp, u64) -> SocketResult<()>;
        fn keep_alive_count(Tcp) -> SocketResult<u32>;
        fn set_keep_alive_count(Tcp, u32) -> SocketResult<()>;
        fn hop_limit(Tcp) -> SocketResult<u8>;
        fn set_hop_limit(Tcp, u8) -> SocketResult<()>;
        fn receive_buffer_size(Tcp) -> SocketResult<u64>;
        fn set_receive_buffer_size(Tcp, u64) -> SocketResult<()>;
        fn send_buffer_size(Tcp) -> SocketResult<u64>;
        fn set_send_buffer_size(Tcp, u64) -> SocketResult<()>;
        fn subscribe(Tcp) -> Pollable;
        fn shutdown(Tcp, ShutdownType) -> SocketResult<()>;
        fn drop(Tcp) -> wasmtime::Result<()>;
    }
}

impl udp::Host for CallState {}

without_sockets! {
    impl udp::HostUdpSocket {
        async fn start_bind(Udp, Resource<Network>, IpSocketAddress) -> SocketResult<()>;
        fn finish_bind(Udp) -> SocketResult<()>;
        async fn stream(Udp, Option<IpSocketAddress>) -> SocketResult<(Incoming, Outgoing)>;
        fn local_address(Udp) -> SocketResult<IpSocketAddress>;
        fn remote_address(Udp) -> SocketResult<IpSocketAddress>;
        fn address_family(Udp) -> wasmtime::Result<IpAddressFamily>;
        fn unicast_hop_limit(Udp) -> SocketResult<u8>;
        fn set_unicast_hop_limit(Udp, u8) -> SocketResult<()>;
        fn receive_buffer_size(Udp) -> SocketResult<u64>;
        fn set_receive_buffer_size(Udp, u64) -> SocketResult<()>;
        fn send_buffer_size(Udp) -> SocketResult<u64>;
        fn set_send_buffer_size(Udp, u64) -> SocketResult<()>;
        fn subscribe(Udp) -> Pollable;
        fn drop(Udp) -> wasmtime::Result<()>;
    }
}

without_sockets! {
    impl udp::HostIncomingDatagramStream {
        fn receive(Incoming, u64) -> SocketResult<Vec<IncomingDatagram>>;
        fn subscribe(Incoming) -> Pollable;
        fn drop(Incoming) -> wasmtime::Result<()>;
    }
}

without_sockets! {
    impl udp::HostOutgoingDatagramStream {
        fn check_send(Outgoing) -> SocketResult<u64>;
        fn send(Outgoing, Vec<OutgoingDatagram>) -> SocketResult<u64>;
        fn subscribe(Outgoing) -> Pollable;
        async fn drop(Outgoing) -> wasmtime::Result<()>;
    }
}
