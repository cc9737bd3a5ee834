use super::*;
use crate::cpu::{Kernels, Level};
use crate::random::{Random, SeededRandom};

fn each_kernel(test: impl Fn(&str, Kernel)) {
    test("single", SINGLE);
    test("emulated 28", EMULATED_28);
    test("emulated 45", EMULATED_45);
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        if let Some(kernel) = kernels.x448 {
            test(kernels.level.name(), kernel);
        }
    }
}

fn arithmetic<F: Field>(f: F) {
    let mut random = SeededRandom::new(&[1; 32]);
    let (mut a, mut b) = (vec![[0; BYTES]; F::LANES], vec![[0; BYTES]; F::LANES]);
    random.fill(a.as_flattened_mut());
    random.fill(b.as_flattened_mut());
    let show = |name: &str, f: F, x: F::Tight| {
        let mut o = vec![[0; BYTES]; F::LANES];
        f.serialise(x, &mut o);
        println!("{name} {}", hex::encode(o[0]));
    };
    let (x, y) = (f.parse(&a), f.parse(&b));
    show("a", f, x);
    show("mul", f, mul(f, x, y));
    show("square", f, f.square(f.loosen(x)));
    show("a24", f, f.mul_a24(x, f.loosen(y)));
    show("sub2", f, f.square(f.sub(x, y)));
    show("add2", f, f.square(f.add(x, y)));
}
#[test]
fn debug() {
    arithmetic(Golden(Radix56));
    arithmetic(Golden(Radix45(Emulated::<1>)));
}
