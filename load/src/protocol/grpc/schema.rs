//! Services, methods and messages: from .proto files, compiled here, without protoc.

use std::path::{Path, PathBuf};

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use protox::Compiler;

use crate::words;

/// Compiles .proto files. What they import is looked for in `includes` and beside the files
/// themselves; what comes with Protocol Buffers (`google/protobuf/…`) is always there.
///
/// # Errors
/// The file, line and column of what is wrong, in words.
pub fn compile(files: &[PathBuf], includes: &[PathBuf]) -> Result<DescriptorPool, String> {
    let mut dirs: Vec<&Path> = includes.iter().map(PathBuf::as_path).collect();
    for file in files {
        // An import is named from its include directory on: the nearest of those comes last, so
        // that a file is not known by two names.
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        if !dirs.iter().any(|known| file.starts_with(known)) && !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    // Its `Debug` form is the one with the place.
    let wrong = |e: protox::Error| format!("{e:?}").replace('\n', " ");
    let mut compiler = Compiler::new(dirs).map_err(wrong)?;
    compiler.include_imports(true).open_files(files).map_err(wrong)?;
    Ok(compiler.descriptor_pool())
}

/// Cuts `shop.v1.Cart/Add` into service and method.
///
/// # Errors
/// What it should look like.
pub fn split(name: &str) -> Result<(&str, &str), String> {
    let parts = name.trim().trim_start_matches('/').rsplit_once('/');
    parts.filter(|(service, method)| !service.is_empty() && !method.is_empty()).ok_or_else(|| {
        format!("takes a service and a method such as shop.v1.Cart/Add, got {name:?}")
    })
}

/// The method of that name.
///
/// # Errors
/// There is none, and what may have been meant; or it takes a stream of messages.
pub fn method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, String> {
    let (service, method) = split(name)?;
    let found = pool.get_service_by_name(service);
    let found = found.ok_or_else(|| {
        let known: Vec<String> = pool.services().map(|s| s.full_name().to_owned()).collect();
        no_service(service, &known)
    })?;
    method_of(&found, method)
}

/// There is no service of that name among those that are known.
#[must_use]
pub fn no_service(service: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!("there is no service {service:?}{}", words::instead(service, &known))
}

fn method_of(service: &ServiceDescriptor, name: &str) -> Result<MethodDescriptor, String> {
    let Some(method) = service.methods().find(|method| method.name() == name) else {
        let known: Vec<String> = service.methods().map(|m| m.name().to_owned()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let instead = words::instead(name, &known);
        return Err(format!("the service {} has no method {name:?}{instead}", service.full_name()));
    };
    if method.is_client_streaming() {
        return Err(format!(
            "{}/{name} takes a stream of messages: only methods that take one can be called",
            service.full_name()
        ));
    }
    Ok(method)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CART: &str = "syntax = \"proto3\";\npackage shop.v1;\nimport \"item.proto\";\n\
        service Cart {\n  rpc Add(Item) returns (Item);\n  rpc Fill(stream Item) returns (Item);\n}\n";
    const ITEM: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
        import \"google/protobuf/timestamp.proto\";\n\
        message Item { string id = 1; google.protobuf.Timestamp at = 2; }\n";

    #[test]
    fn methods_are_found_and_what_was_meant_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let (cart, deep) = (dir.path().join("cart.proto"), dir.path().join("deep"));
        fs::create_dir(&deep).unwrap();
        fs::write(&cart, CART).unwrap();
        fs::write(deep.join("item.proto"), ITEM).unwrap();
        let files = [cart.clone()];
        let wrong = compile(&files, &[]).unwrap_err();
        assert_eq!(wrong, "cart.proto:3:1: import 'item.proto' not found");
        let pool = compile(&files, std::slice::from_ref(&deep)).unwrap();
        let add = method(&pool, "shop.v1.Cart/Add").unwrap();
        assert_eq!(add.input().full_name(), "shop.v1.Item");
        for (name, says) in [
            ("shop.v1.Cart.Add", "takes a service and a method such as shop.v1.Cart/Add"),
            ("shop.v1.Crat/Add", "no service \"shop.v1.Crat\"; did you mean `shop.v1.Cart`?"),
            ("/shop.v1.Cart/add", "has no method \"add\"; did you mean `Add`?"),
            ("shop.v1.Cart/Fill", "takes a stream of messages"),
        ] {
            let wrong = method(&pool, name).unwrap_err();
            assert!(wrong.contains(says), "{wrong}");
        }
        fs::write(&cart, "syntax = \"proto3\";\nmessage { }\n").unwrap();
        let wrong = compile(&files, &[]).unwrap_err();
        assert!(wrong.starts_with("cart.proto:2:9: "), "{wrong}");
    }

    #[test]
    fn half_a_file_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("item.proto");
        for at in 0..ITEM.len() {
            fs::write(&path, &ITEM[..at]).unwrap();
            let Err(wrong) = compile(std::slice::from_ref(&path), &[]) else { continue };
            assert!(!wrong.is_empty() && !wrong.contains('\n'), "{wrong}");
        }
    }
}
