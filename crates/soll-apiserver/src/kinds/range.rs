//! Ranges of addresses: `10.0.0.0/8`.

use std::net::IpAddr;

use super::service::parse_ip;

/// What is said of a text that is none.
pub(super) const NO_RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// A range of addresses; bits of the address behind its length mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    address: IpAddr,
    length: u32,
}

impl Range {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address = parse_ip(address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.bytes().all(|byte| byte.is_ascii_digit()).then(|| length.parse().ok())??;
        (length <= most).then_some(Self { address, length })
    }

    /// Says whether another range is a part of this one and not all of it.
    pub(super) fn has_part(self, other: Self) -> bool {
        let cut = |address: IpAddr| match address {
            IpAddr::V4(ip) => u128::from(ip.to_bits()).checked_shr(32 - self.length),
            IpAddr::V6(ip) => ip.to_bits().checked_shr(128 - self.length),
        };
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.length < other.length
            && cut(self.address).unwrap_or(0) == cut(other.address).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_parts() {
        let parse = |text: &str| Range::parse(text).expect("a range");
        let has = |whole: &str, part: &str| parse(whole).has_part(parse(part));
        assert!(has("10.0.0.0/8", "10.3.0.0/16") && has("0.0.0.0/0", "10.0.0.0/8") && has("::/0", "2001:db8::/64"));
        assert!(!has("10.0.0.0/8", "11.0.0.0/16") && !has("10.0.0.0/8", "10.0.0.0/8") && !has("::/0", "10.0.0.0/8"));
        for bad in ["10.0.0.0", "10.0.0.0/33", "a/8", "10.0.0.0/", "10.0.0.0/+8", "::/129"] {
            assert_eq!(Range::parse(bad), None, "{bad}");
        }
    }
}
