//! The project's tasks: `cargo xtask setup|test|vm|lint|…`.

mod toolchain;

fn main() {
    match toolchain::Toolchain::find() {
        Ok(found) => println!(
            "eBPF toolchain: {} in {}, {}",
            found.compiler.origin,
            found.compiler.bin.display(),
            found.linker.display()
        ),
        Err(missing) => println!("{missing}"),
    }
}
