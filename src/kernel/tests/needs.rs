//! A gradient that nobody needs is not computed, and what is computed does not depend on what else is.

use burn::backend::NdArray;

use crate::kernel::Op;
use crate::kernel::backend::host::ran;
use crate::kernel::check::{Case, Visitor, gradients, noise};
use crate::kernel::ops::every_operation;

/// How many differentiable operations there are, by name.
struct Needs(Vec<&'static str>);

impl Visitor for Needs {
    fn visit<T: Op<I, O>, const I: usize, const O: usize>(&mut self, case: Case<T, I>) {
        if !case.has_gradients || T::keeps([true; I]).is_none() {
            return;
        }
        let all = computed::<T, I, O>(&case, [true; I]);
        for mask in 1..1_u32 << I {
            let needs = std::array::from_fn(|i| mask >> i & 1 == 1);
            let some = computed::<T, I, O>(&case, needs);
            for i in 0..I {
                assert_eq!(some[i].is_some(), needs[i], "input {i} of {} for {needs:?}", T::NAME);
                let same = some[i].is_none() || bits(&some[i]) == bits(&all[i]);
                assert!(same, "the gradient of input {i} of {} for {needs:?}", T::NAME);
            }
        }
        if self.0.last() != Some(&T::NAME) {
            self.0.push(T::NAME);
        }
    }
}

fn bits(gradient: &Option<Vec<f32>>) -> Vec<u32> {
    gradient.iter().flatten().map(|number| number.to_bits()).collect()
}

/// The gradients, after a look at what the backend computed for them: as many numbers as they have.
fn computed<T: Op<I, O>, const I: usize, const O: usize>(
    case: &Case<T, I>,
    needs: [bool; I],
) -> [Option<Vec<f32>>; I] {
    ran::take();
    let gradients = gradients::<NdArray, T, I, O>(case, &Default::default(), needs);
    // The first run is that of the forward pass.
    let computed: usize = ran::take().iter().skip(1).map(|(_, elements)| elements).sum();
    // What an operation adds up has the gradient of the sum, which is handed on as it is.
    let shapes = case.op.shapes(case.inputs.each_ref().map(|input| input.shape()));
    let dout = noise(shapes[0].clone(), 99);
    let made = gradients.iter().flatten().filter(|gradient| ***gradient != *dout);
    let given: usize = made.map(Vec::len).sum();
    assert_eq!(computed, given, "{} for {needs:?}", T::NAME);
    gradients
}

#[test]
fn gradients_are_computed_exactly_where_they_are_needed() {
    let mut needs = Needs(Vec::new());
    every_operation(&mut needs);
    let expected = [
        "linear",
        "add_linear",
        "dropout",
        "rms_norm",
        "swiglu",
        "rope",
        "attention",
        "gather_rows",
        "token_logprob",
        "logit_logprob",
    ];
    assert_eq!(needs.0, expected);
}
