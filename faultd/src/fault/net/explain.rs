//! Which flows a network fault meets, for `explain`.
//!
//! Both sides are targets: the fault's and the one asked about. A field that
//! both name must overlap; a field that only the fault names narrows what of
//! the query it covers.

use std::net::IpAddr;

use faultd_api::{Direction, PortRange, PortSet, Target};
use ipnet::IpNet;

/// How much of what was asked about a field covers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cover {
    /// Nothing: the fault does not meet it.
    None,
    /// All of it.
    All,
    /// A part, in words.
    Part(String),
    /// All but a part, in words.
    But(String),
}

/// What of `query` a fault with `target` covers: `all`, or which part; `None`
/// when they never meet. `default_direction` is the kind's own.
///
/// `owned` answers whether the query's processes are the fault's (only asked
/// when both name processes); `None` when that cannot be told.
pub fn covers(
    target: &Target,
    query: &Target,
    default_direction: Direction,
    owned: impl FnOnce() -> Option<bool>,
) -> Option<String> {
    let (mut parts, mut exceptions) = (Vec::new(), Vec::new());
    let fields = [
        names("--dev", &target.dev, &query.dev),
        direction(target.direction.unwrap_or(default_direction), query.direction),
        proto(target, query),
        ports(target, query),
        remotes(&target.remote, &query.remote),
        excluded_ports(target, query),
        excluded_remotes(&target.except_remote, &query.remote),
        names("--netns", as_slice(&target.netns), as_slice(&query.netns)),
        processes(target, query, owned),
    ];
    for cover in fields {
        match cover {
            Cover::None => return None,
            Cover::All => {}
            Cover::Part(words) => parts.push(words),
            Cover::But(words) => exceptions.push(words),
        }
    }
    let (parts, exceptions) = (parts.join(", "), exceptions.join(", "));
    Some(match (parts.is_empty(), exceptions.is_empty()) {
        (true, true) => "all".to_owned(),
        (false, true) => format!("only {parts}"),
        (true, false) => format!("all but {exceptions}"),
        (false, false) => format!("only {parts}, but not {exceptions}"),
    })
}

fn as_slice(value: &Option<String>) -> &[String] {
    value.as_slice()
}

fn names(option: &str, fault: &[String], query: &[String]) -> Cover {
    if fault.is_empty() {
        return Cover::All;
    }
    if query.is_empty() {
        return Cover::Part(format!("{option} {}", fault.join(",")));
    }
    let shared = query.iter().filter(|name| fault.contains(name)).count();
    match shared {
        0 => Cover::None,
        n if n == query.len() => Cover::All,
        _ => Cover::Part(format!("{option} {}", fault.join(","))),
    }
}

fn direction(fault: Direction, query: Option<Direction>) -> Cover {
    let words = match fault {
        Direction::Both => return Cover::All,
        Direction::Egress => "packets that leave",
        Direction::Ingress => "packets that arrive",
    };
    match query {
        Some(asked) if asked == fault => Cover::All,
        None | Some(Direction::Both) => Cover::Part(words.to_owned()),
        Some(_) => Cover::None,
    }
}

fn proto(target: &Target, query: &Target) -> Cover {
    match (target.proto, query.proto) {
        (None, _) => Cover::All,
        (Some(fault), Some(asked)) if fault == asked => Cover::All,
        (Some(_), Some(_)) => Cover::None,
        (Some(fault), None) => Cover::Part(format!("{fault}")),
    }
}

/// How one of the fault's port options meets the same or a wider option of
/// the query.
fn port_field(option: &str, fault: Option<&PortSet>, asked: &[Option<&PortSet>]) -> Cover {
    let Some(fault) = fault else { return Cover::All };
    let asked: Vec<&PortSet> = asked.iter().copied().flatten().collect();
    if asked.is_empty() {
        return Cover::Part(format!("{option} {fault}"));
    }
    if asked.iter().any(|set| within(set, fault)) {
        return Cover::All;
    }
    match asked.iter().copied().map(|set| (shared(set, fault), count(set))).max() {
        Some((met @ 1.., all)) => Cover::Part(format!("{option} {fault} ({met} of {all} ports)")),
        _ => Cover::None,
    }
}

fn ports(target: &Target, query: &Target) -> Cover {
    let either = port_field(
        "--port",
        target.port.as_ref(),
        &[query.port.as_ref(), query.local_port.as_ref(), query.remote_port.as_ref()],
    );
    let local = port_field(
        "--local-port",
        target.local_port.as_ref(),
        &[query.local_port.as_ref(), query.port.as_ref()],
    );
    let remote = port_field(
        "--remote-port",
        target.remote_port.as_ref(),
        &[query.remote_port.as_ref(), query.port.as_ref()],
    );
    // A query by `--port` does not say at which end: a fault that names the
    // end covers it in part only.
    let narrowed = |cover: Cover, option: &str, fault: Option<&PortSet>, exact: bool| match cover {
        Cover::All if fault.is_some() && !exact => {
            Cover::Part(fault.map(|set| format!("{option} {set}")).unwrap_or_default())
        }
        other => other,
    };
    let local =
        narrowed(local, "--local-port", target.local_port.as_ref(), query.local_port.is_some());
    let remote =
        narrowed(remote, "--remote-port", target.remote_port.as_ref(), query.remote_port.is_some());
    [either, local, remote].into_iter().fold(Cover::All, both)
}

fn both(a: Cover, b: Cover) -> Cover {
    match (a, b) {
        (Cover::None, _) | (_, Cover::None) => Cover::None,
        (Cover::All, other) | (other, Cover::All) => other,
        (Cover::Part(a), Cover::Part(b)) => Cover::Part(format!("{a}, {b}")),
        // No option that names ports excludes any.
        (but, _) => but,
    }
}

fn within(inner: &PortSet, outer: &PortSet) -> bool {
    inner.ranges().iter().all(|i| outer.ranges().iter().any(|o| o.low <= i.low && i.high <= o.high))
}

fn count(set: &PortSet) -> u32 {
    set.ranges().iter().map(|r| u32::from(r.high) - u32::from(r.low) + 1).sum()
}

/// How many ports two sets have in common.
fn shared(a: &PortSet, b: &PortSet) -> u32 {
    let pairs = a.ranges().iter().flat_map(|x| b.ranges().iter().map(move |y| (x, y)));
    let common = |(x, y): (&PortRange, &PortRange)| {
        let (low, high) = (x.low.max(y.low), x.high.min(y.high));
        (u32::from(high) + 1).saturating_sub(low.into())
    };
    pairs.map(common).sum()
}

fn networks(texts: &[String]) -> Vec<IpNet> {
    texts
        .iter()
        .filter_map(|t| t.parse().ok().or_else(|| t.parse::<IpAddr>().ok().map(IpNet::from)))
        .collect()
}

fn remotes(fault: &[String], query: &[String]) -> Cover {
    if fault.is_empty() {
        return Cover::All;
    }
    let part = Cover::Part(format!("--remote {}", fault.join(",")));
    if query.is_empty() {
        return part;
    }
    if query.iter().all(|name| fault.contains(name)) {
        return Cover::All;
    }
    let (ours, asked) = (networks(fault), networks(query));
    if !asked.is_empty() && asked.iter().all(|net| ours.iter().any(|o| o.contains(net))) {
        return Cover::All;
    }
    if asked.iter().any(|net| ours.iter().any(|o| o.contains(net) || net.contains(o))) {
        return part;
    }
    // Host names were resolved when the fault was planned; what they stand
    // for now is not known here.
    if asked.len() < query.len() || ours.len() < fault.len() {
        return part;
    }
    Cover::None
}

fn excluded_ports(target: &Target, query: &Target) -> Cover {
    let Some(except) = &target.except_port else { return Cover::All };
    let asked = [&query.port, &query.local_port, &query.remote_port];
    if asked.iter().any(|set| set.as_ref().is_some_and(|set| within(set, except))) {
        return Cover::None;
    }
    Cover::But(format!("ports {except}"))
}

fn excluded_remotes(except: &[String], query: &[String]) -> Cover {
    if except.is_empty() {
        return Cover::All;
    }
    let (ours, asked) = (networks(except), networks(query));
    if !asked.is_empty() && asked.iter().all(|net| ours.iter().any(|o| o.contains(net))) {
        return Cover::None;
    }
    if !asked.is_empty()
        && asked.len() == query.len()
        && ours.len() == except.len()
        && !asked.iter().any(|net| ours.iter().any(|o| net.contains(o)))
    {
        return Cover::All;
    }
    Cover::But(except.join(","))
}

fn processes(target: &Target, query: &Target, owned: impl FnOnce() -> Option<bool>) -> Cover {
    if !target.has_process_part() {
        return Cover::All;
    }
    let words: Vec<String> = target
        .options()
        .into_iter()
        .filter(|(name, _)| {
            matches!(
                *name,
                "--pid"
                    | "--name"
                    | "--exe"
                    | "--cmdline"
                    | "--user"
                    | "--cgroup"
                    | "--unit"
                    | "--container"
            )
        })
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let part = Cover::Part(words.join(" "));
    if !query.has_process_part() {
        return part;
    }
    match owned() {
        Some(true) => Cover::All,
        Some(false) => Cover::None,
        None => part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(text: &str) -> Option<PortSet> {
        Some(text.parse().unwrap())
    }

    fn ask(target: &Target, query: &Target) -> Option<String> {
        covers(target, query, Direction::Both, || None)
    }

    #[test]
    fn everything_meets_everything() {
        assert_eq!(ask(&Target::default(), &Target::default()).as_deref(), Some("all"));
    }

    #[test]
    fn ports_meet_where_they_overlap() {
        let fault = Target { port: port("8080"), ..Target::default() };
        let one = |p| Target { port: port(p), ..Target::default() };
        assert_eq!(ask(&fault, &one("8080")).as_deref(), Some("all"));
        assert_eq!(ask(&fault, &one("9090")), None);
        let part = "only --port 8080 (1 of 1001 ports)";
        assert_eq!(ask(&fault, &one("8000-9000")).as_deref(), Some(part));
        let wide = Target { port: port("1-10,60000-65535"), ..Target::default() };
        let part = "only --port 1-10,60000-65535 (540 of 1506 ports)";
        assert_eq!(ask(&wide, &one("5,64030-65534")).as_deref(), Some("all"));
        assert_eq!(ask(&wide, &one("1-5,59999-60534,100-1064")).as_deref(), Some(part));
        assert_eq!(ask(&fault, &Target::default()).as_deref(), Some("only --port 8080"));
        let remote = Target { remote_port: port("8080"), ..Target::default() };
        assert_eq!(ask(&fault, &remote).as_deref(), Some("all"));
        assert_eq!(ask(&remote, &one("8080")).as_deref(), Some("only --remote-port 8080"));
    }

    #[test]
    fn a_protocol_that_differs_never_meets() {
        let tcp = Target { proto: Some(faultd_api::Proto::Tcp), ..Target::default() };
        let udp = Target { proto: Some(faultd_api::Proto::Udp), ..Target::default() };
        assert_eq!(ask(&tcp, &udp), None);
    }

    #[test]
    fn prefixes_cover_addresses() {
        let fault = Target { remote: vec!["10.0.0.0/8".into()], ..Target::default() };
        let at = |a: &str| Target { remote: vec![a.into()], ..Target::default() };
        assert_eq!(ask(&fault, &at("10.1.2.3")).as_deref(), Some("all"));
        assert_eq!(ask(&fault, &at("192.168.0.1")), None);
        let except = Target { except_remote: vec!["10.0.0.7".into()], ..Target::default() };
        assert_eq!(ask(&except, &at("10.0.0.7")), None);
        assert_eq!(ask(&except, &at("10.0.0.8")).as_deref(), Some("all"));
    }

    #[test]
    fn exclusions_win() {
        let fault = Target { except_port: port("22"), ..Target::default() };
        let ssh = Target { port: port("22"), ..Target::default() };
        assert_eq!(ask(&fault, &ssh), None);
        assert_eq!(ask(&fault, &Target::default()).as_deref(), Some("all but ports 22"));
        let fault =
            Target { dev: vec!["eth0".into()], except_remote: vec!["10.0.0.7".into()], ..fault };
        let part = "only --dev eth0, but not ports 22, 10.0.0.7";
        assert_eq!(ask(&fault, &Target::default()).as_deref(), Some(part));
    }

    #[test]
    fn processes_are_asked_for_only_when_both_name_them() {
        let fault = Target { name: Some("nginx".into()), ..Target::default() };
        assert_eq!(ask(&fault, &Target::default()).as_deref(), Some("only --name nginx"));
        let query = Target { pid: vec![7], ..Target::default() };
        assert_eq!(covers(&fault, &query, Direction::Both, || Some(false)), None);
        assert_eq!(covers(&fault, &query, Direction::Both, || Some(true)).as_deref(), Some("all"));
    }
}
