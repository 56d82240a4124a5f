//! Bytes over TCP.

use std::path::PathBuf;

use super::Builder;
use crate::{
    plan::{Target, TcpRequest, Transport},
    scenario::{
        file::TcpFile,
        read::{Located, Problem},
    },
};

impl Builder<'_> {
    pub(super) fn tcp(&mut self, file: &Located<TcpFile>) -> Result<TcpRequest, Problem> {
        let target = target(&file.address)
            .map_err(|m| Problem::at(file.address.place, m).within("address"))?;
        self.targets.insert(file.address.trim().to_owned());
        let send = self.template(&file.send).map_err(|e| e.within("send"))?;
        Ok(TcpRequest { target, send, until: file.until.clone().into_bytes() })
    }
}

pub(super) fn target(text: &str) -> Result<Target, String> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        let transport = Transport::Unix(PathBuf::from(path));
        return Ok(Target { host: "localhost".into(), port: 0, transport });
    }
    let wrong = || format!("takes HOST:PORT or unix:/path/to.sock, got {text:?}");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|p| *p > 0).ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Target { host: host.to_owned(), port, transport: Transport::Tcp })
}
