//! (in the making)
use ipnet::IpNet;
use std::net::IpAddr;
/// Networks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Networks(Vec<IpNet>);
impl Networks {
    /// Whether.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|n| n.contains(&address))
    }
}
impl From<Vec<IpNet>> for Networks {
    fn from(v: Vec<IpNet>) -> Self {
        Networks(v)
    }
}
