use std::{fs, io};

use super::*;

const WEB: char = 'a';
const DB: char = 'b';

fn id(digit: char) -> String {
    format!("12{}", digit.to_string().repeat(62))
}

/// A host of ordinary folders: Docker with the systemd driver in version 2,
/// a container of the cgroupfs driver in version 1 only, and state files.
fn host() -> io::Result<(tempfile::TempDir, Mounts)> {
    let root = tempfile::tempdir()?;
    let write = |path: String, text: String| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)
    };
    let (web, db) = (id(WEB), id(DB));
    for dir in [
        format!("v1/docker/{db}"),
        format!("named/system.slice/docker-{web}.scope/docker/{web}"),
        format!("named/machine.slice/libpod-conmon-{db}.scope"),
        "named/lxc.payload.old".to_owned(),
    ] {
        fs::create_dir_all(root.path().join(dir))?;
    }
    write(
        format!("var/lib/docker/containers/{web}/config.v2.json"),
        r#"{"ID":"x","Name":"/web"}"#.into(),
    )?;
    write("var/lib/docker/containers/broken/config.v2.json".into(), "{".into())?;
    write(
        "home/eve/.local/share/containers/storage/overlay-containers/containers.json".into(),
        format!(r#"[{{"id":"{db}","names":["db"]}},{{"id":"gone"}}]"#),
    )?;
    write("var/lib/nerdctl/1935db59/names/default/cache".into(), "ffff\n".into())?;
    let at = root.path().display();
    let mounts = format!(
        "1 1 0:1 / {at}/v1 rw - cgroup x rw,memory\n1 1 0:2 / {at}/named rw - cgroup x \
         rw,name=systemd\n"
    );
    Ok((root, Mounts::parse(mounts.as_bytes())))
}

#[test]
fn by_id_name_and_beginning() -> io::Result<()> {
    let (root, mounts) = host()?;
    let path = |wanted: &str| {
        container_in(&mounts, root.path(), wanted).map(|g| g.path).map_err(|e| e.to_string())
    };
    let (web, db) =
        (Ok(format!("/system.slice/docker-{}.scope", id(WEB))), Ok(format!("/docker/{}", id(DB))));
    for wanted in [&id(WEB), &id(WEB)[..12], "12a", "web"] {
        assert_eq!(path(wanted), web, "{wanted}");
    }
    for wanted in [&id(DB), "12b", "db"] {
        assert_eq!(path(wanted), db, "{wanted}");
    }
    assert_eq!(path("old"), Ok("/lxc.payload.old".into()));
    Ok(())
}

#[test]
fn says_where_it_looked() -> io::Result<()> {
    let (root, mounts) = host()?;
    let error = |wanted: &str| {
        container_in(&mounts, root.path(), wanted).map(|g| g.path).map_err(|e| e.to_string())
    };
    let unknown = error("mail").expect_err("there is none");
    assert!(unknown.contains("no container \"mail\""), "{unknown}");
    assert!(unknown.contains("no runtime's files name it"), "{unknown}");
    assert!(unknown.contains("/named"), "{unknown}");
    let stopped = error("cache").expect_err("it does not run");
    assert!(stopped.contains("name of ffff, which does not run"), "{stopped}");
    assert!(error("../../etc/passwd").is_err());
    Ok(())
}

#[test]
fn an_ambiguous_beginning_lists_the_candidates() {
    let found = Found::from([(id(WEB), PathBuf::from("/a")), (id(DB), PathBuf::from("/b"))]);
    let error = pick(&found, "12", &[]).expect_err("two begin like that").to_string();
    assert!(error.contains(&id(WEB)) && error.contains(&id(DB)), "{error}");
}
