//! Names of containers, from the files in which the runtimes keep them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The ids of all containers with that name. Files that cannot be read or are
/// of an unknown form are passed over.
pub(super) fn ids(root: &Path, name: &str) -> Vec<String> {
    let mut ids: Vec<String> = homes(root)
        .iter()
        .flat_map(|(docker, storage)| {
            let mut ids = of_docker(docker, name);
            ids.extend(of_storage(storage, name));
            ids
        })
        .chain(of_nerdctl(&root.join("var/lib/nerdctl"), name))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The state folders of Docker and of containers/storage (Podman, CRI-O): the
/// host's and each user's own.
fn homes(root: &Path) -> Vec<(PathBuf, PathBuf)> {
    let system = (root.join("var/lib/docker"), root.join("var/lib/containers/storage"));
    let users = fs::read_dir(root.join("home")).into_iter().flatten().flatten().map(|home| {
        let share = home.path().join(".local/share");
        (share.join("docker"), share.join("containers/storage"))
    });
    std::iter::once(system).chain(users).collect()
}

/// `containers/ID/config.v2.json` with `"Name": "/web"`.
fn of_docker(state: &Path, name: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "Name")]
        name: String,
    }
    let dirs = fs::read_dir(state.join("containers")).into_iter().flatten().flatten();
    dirs.filter_map(|dir| {
        let text = fs::read(dir.path().join("config.v2.json")).ok()?;
        let config: Config = serde_json::from_slice(&text).ok()?;
        (config.name.trim_start_matches('/') == name)
            .then(|| dir.file_name().into_string().ok())
            .flatten()
    })
    .collect()
}

/// `DRIVER-containers/containers.json`: a list with `id` and `names`.
fn of_storage(state: &Path, name: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Container {
        id: String,
        #[serde(default)]
        names: Vec<String>,
    }
    let drivers = fs::read_dir(state).into_iter().flatten().flatten();
    drivers
        .filter(|dir| dir.file_name().to_string_lossy().ends_with("-containers"))
        .filter_map(|dir| fs::read(dir.path().join("containers.json")).ok())
        .filter_map(|text| serde_json::from_slice::<Vec<Container>>(&text).ok())
        .flatten()
        .filter(|container| container.names.iter().any(|n| n == name))
        .map(|container| container.id)
        .collect()
}

/// `HASH/names/NAMESPACE/NAME`, a file that holds the id.
fn of_nerdctl(state: &Path, name: &str) -> Vec<String> {
    // The name becomes part of a path.
    if name.contains('/') || name.starts_with('.') {
        return Vec::new();
    }
    let below = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    below(state.to_owned())
        .flat_map(|address| below(address.path().join("names")))
        .filter_map(|namespace| fs::read_to_string(namespace.path().join(name)).ok())
        .map(|id| id.trim().to_owned())
        .collect()
}
