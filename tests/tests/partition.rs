//! `partition`: nothing passes, either way, and everything else does.

use std::time::Duration;

use faultd_tests::{
    World, slowly,
    traffic::{Pinger, deliver, lost, receiver, sender_to},
    wire::Way,
};

fn limit() -> Duration {
    slowly(Duration::from_millis(250))
}

#[test]
fn nothing_passes_and_then_everything() {
    for way in Way::ALL {
        let world = way.world();
        let mut pair = way.pair(&world);
        let id = world.inject_id(&format!("partition --port {} --for 60s", pair.ports()));
        assert_eq!(pair.udp.ping_within(limit()), None, "{way:?}: UDP passed");
        let connect = Pinger::try_tcp(pair.tcp_address(), limit());
        assert!(connect.is_err(), "{way:?}: a connection came about");
        world.ctl(&format!("revert {id}")).ok();
        assert!(pair.udp.ping() > 0);
        // TCP goes on where it was: it only lost packets.
        pair.assert_normal();
    }
}

#[test]
fn both_directions_are_cut() {
    let world = World::with_peer();
    let here = receiver("10.77.0.1:0");
    let there = world.peer().run(|| receiver("10.77.0.2:0"));
    let out = sender_to(there.local_addr().unwrap());
    let to_here = here.local_addr().unwrap();
    let back = world.peer().run(|| sender_to(to_here));
    world.inject("partition --remote 10.77.0.2 --for 60s");
    assert_eq!(lost(&deliver(&out, &there, 500)), 500, "outwards");
    assert_eq!(lost(&deliver(&back, &here, 500)), 500, "inwards");
    world.revert_all();
    assert_eq!(lost(&deliver(&out, &there, 500)), 0, "outwards, after");
    assert_eq!(lost(&deliver(&back, &here, 500)), 0, "inwards, after");
}

#[test]
fn a_network_is_cut_and_its_neighbour_is_not() {
    let world = World::with_peer();
    for address in ["10.77.1.2/24", "fd78::2/64"] {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        world.peer().run(|| {
            faultd_tests::command::run(&format!("ip address add {address} dev veth1{nodad}"))
        });
        let here = address.replace("2/", "1/");
        faultd_tests::command::run(&format!("ip address add {here} dev veth0{nodad}"));
    }
    for (cut, bound, left) in [
        ("10.77.0.0/24", "10.77.0.2:0", "10.77.1.2:0"),
        ("10.77.1.2", "10.77.1.2:0", "10.77.0.2:0"),
        ("fd77::/64", "[fd77::2]:0", "[fd78::2]:0"),
        ("fd78::2", "[fd78::2]:0", "[fd77::2]:0"),
    ] {
        let [hit, spared] = [bound, left].map(|a| world.peer().run(|| receiver(a)));
        let id = world.inject_id(&format!("partition --remote {cut} --for 60s"));
        let to = sender_to(hit.local_addr().unwrap());
        assert_eq!(lost(&deliver(&to, &hit, 200)), 200, "{cut} passes");
        let to = sender_to(spared.local_addr().unwrap());
        assert_eq!(lost(&deliver(&to, &spared, 200)), 0, "{cut} hits {left}");
        world.ctl(&format!("revert {id}")).ok();
    }
    // The addresses are not part of the snapshot.
    for address in ["10.77.1.2/24", "fd78::2/64"] {
        world
            .peer()
            .run(|| faultd_tests::command::run(&format!("ip address delete {address} dev veth1")));
        let here = address.replace("2/", "1/");
        faultd_tests::command::run(&format!("ip address delete {here} dev veth0"));
    }
}

#[test]
fn a_partition_in_the_middle_of_a_stream_only_stalls_it() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        thread,
    };
    let world = World::with_peer();
    let server = Way::Veth4.at_server(&world, faultd_tests::traffic::TcpEcho::bind);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let (mut writer, copy) = (stream.try_clone().unwrap(), sent.clone());
    world.inject(&format!("partition --port {} --for 60s", server.port()));
    let writing = thread::spawn(move || writer.write_all(&copy).unwrap());
    thread::sleep(Duration::from_millis(700));
    world.revert_all();
    let mut got = vec![0; sent.len()];
    stream.set_read_timeout(Some(slowly(Duration::from_secs(20)))).unwrap();
    stream.read_exact(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == sent);
}

#[test]
fn devices_are_told_apart() {
    let world = World::with_peer();
    let (lo, veth) = (Way::Lo4, Way::Veth4);
    let mut on_lo = lo.pair(&world);
    let mut on_veth = veth.pair(&world);
    let id = world.inject_id("partition --dev veth0 --for 60s");
    assert_eq!(on_veth.udp.ping_within(limit()), None);
    on_lo.assert_normal();
    world.ctl(&format!("revert {id}")).ok();
    world.inject("partition --dev lo --for 60s");
    assert_eq!(on_lo.udp.ping_within(limit()), None);
    on_veth.assert_normal();
    world.revert_all();
}
