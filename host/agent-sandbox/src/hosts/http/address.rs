//! Which addresses a request may go to: public ones, and an address that the operator granted literally.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::defence::{self, Defence};
use crate::hosts::http::resolver::Resolver;

/// Most addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 64;

/// IPv4 blocks that are not the public Internet (IANA's special-purpose registry), and addresses in public blocks that clouds
/// use for the machine's own metadata.
const FORBIDDEN_V4: [(Ipv4Addr, u32); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// What is public in IPv6: everything else (loopback, mapped and compatible IPv4, NAT64, local, multicast) is not.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks within it that lead elsewhere: protocol assignments with Teredo, documentation, 6to4.
const FORBIDDEN_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Addresses at which clouds hand out the machine's credentials. Not even a literal grant reaches them.
const METADATA: [IpAddr; 10] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether a name may lead to this address.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !FORBIDDEN_V4.iter().any(|(block, bits)| in_v4(address, *block, *bits)),
        IpAddr::V6(address) => {
            in_v6(address, PUBLIC_V6.0, PUBLIC_V6.1)
                && !FORBIDDEN_V6.iter().any(|(block, bits)| in_v6(address, *block, *bits))
        }
    }
}

/// Whether an address that a URL names literally, and that was granted so, may be reached.
pub(crate) fn may_be_granted(address: IpAddr) -> bool {
    !METADATA.contains(&address) && !METADATA.contains(&embedded(address))
}

/// The IPv4 address inside of an IPv6 address, where a network might go there.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, .., g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0x64, 0xff9b, ..] | [0, 0, 0, 0, 0, 0 | 0xffff, ..] => v4(g, h),
        [0x2002, high, low, ..] => v4(high, low),
        // An address of one link that is made of the IPv4 one.
        [0xfe80..=0xfebf, ..] => v4(g, h),
        _ if (a, b) == (0x2001, 0) => v4(!g, !h),
        _ => address,
    }
}

fn in_v4(address: Ipv4Addr, block: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ block.to_bits()).leading_zeros() >= bits
}

fn in_v6(address: Ipv6Addr, block: Ipv6Addr, bits: u32) -> bool {
    (address.to_bits() ^ block.to_bits()).leading_zeros() >= bits
}

/// An address that was looked at: the only thing that a connection is made to. So an answer of the name's owner that changes
/// between the look and the connection changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked(IpAddr);

impl Checked {
    /// An address that the URL names literally, and that was granted so.
    pub(crate) fn granted(address: IpAddr) -> Result<Self, Unresolved> {
        if may_be_granted(address) { Ok(Self(address)) } else { Err(Unresolved::Forbidden) }
    }

    /// What to connect to.
    pub(crate) fn socket(self, port: u16) -> SocketAddr {
        let socket = SocketAddr::new(self.0, port);
        #[cfg(feature = "switchable-defences")]
        let socket = super::private_resolver::stand_in(socket);
        socket
    }
}

/// Why a name led nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unresolved {
    /// Nobody knows it.
    #[error("the host's name is not known")]
    NotFound,
    /// All its addresses are forbidden.
    #[error("the host's name leads to addresses that are not public: they are reached by address only, if granted")]
    Forbidden,
}

/// The public addresses of a name, which is asked for here and nowhere else. Called for a request that was decided about.
pub(crate) async fn resolve(name: &str, resolver: &Resolver) -> Result<Vec<Checked>, Unresolved> {
    #[cfg(feature = "switchable-defences")]
    if let Some(found) = super::private_resolver::look_up(name).await {
        return public_only(found);
    }
    public_only(resolver.look_up(name).await)
}

fn public_only(found: Vec<IpAddr>) -> Result<Vec<Checked>, Unresolved> {
    if found.is_empty() {
        return Err(Unresolved::NotFound);
    }
    let may_be_reached = |address: &IpAddr| is_public(*address) || defence::is_off(Defence::NetDenied);
    let public: Vec<Checked> = found.into_iter().take(ADDRESSES_MAX).filter(may_be_reached).map(Checked).collect();
    if public.is_empty() { Err(Unresolved::Forbidden) } else { Ok(public) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached_by_name() -> Result<(), std::net::AddrParseError> {
        let cases = [
            // The hostile suite's N6 to N9.
            (false, "127.0.0.1 127.255.255.255 0.0.0.0 0.1.2.3"),
            (false, "::1 :: ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: fe80::1 fc00::1 fdff::1"),
            (false, "169.254.169.254 fd00:ec2::254 100.100.100.200 168.63.129.16 192.0.0.192 169.254.170.2"),
            (false, "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255"),
            (false, "224.0.0.1 239.255.255.255 255.255.255.255 240.0.0.1 192.0.0.1 198.18.0.1 198.19.255.255"),
            (false, "ff02::1 2001:db8::1 2001::1 3fff::1 64:ff9b:1::1 ::ffff:8.8.8.8 64:ff9b::808:808 100::1 fec0::1"),
            (false, "192.0.2.1 198.51.100.1 203.0.113.1"),
            (true, "8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1"),
            (true, "192.167.1.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255 168.63.129.17"),
            (true, "2606:4700::1111 2a00:1450::1 2001:4860:4860::8888 2400:cb00::1"),
        ];
        for (public, addresses) in cases {
            for address in addresses.split(' ') {
                assert_eq!(is_public(address.parse()?), public, "{address}");
            }
        }
        Ok(())
    }

    #[test]
    fn metadata_cannot_even_be_granted() -> Result<(), std::net::AddrParseError> {
        let cases = [
            (false, "169.254.170.23 fd00:ec2::23"),
            (
                false,
                "169.254.169.254 fd00:ec2::254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe:: fe80::a9fe:a9fe",
            ),
            (true, "127.0.0.1 192.168.1.1 ::1 10.0.0.7 fe80::1"),
        ];
        for (granted, addresses) in cases {
            for address in addresses.split(' ') {
                assert_eq!(may_be_granted(address.parse()?), granted, "{address}");
            }
        }
        Ok(())
    }

    #[test]
    fn of_a_mixed_answer_the_public_part_is_used() {
        let address = |first| IpAddr::from([first, 9, 9, 9]);
        assert_eq!(public_only(vec![address(10), address(9)]), Ok(vec![Checked(address(9))]));
        assert_eq!(public_only(vec![address(10)]), Err(Unresolved::Forbidden));
        assert_eq!(public_only(vec![]), Err(Unresolved::NotFound));
    }
}
