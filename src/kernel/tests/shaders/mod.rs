//! Every operation on a device of wgpu against its CPU reference, in each of its forms: WGSL, and CubeCL's
//! language. One test walks the list of operations on one thread, since each thread that touches a device
//! has a stream and a memory pool of its own. What has a shader is looked at closely, in a table below.

mod groups;
mod tokens;

use std::io::Write;
use std::time::Instant;

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::into_data_sync;
use cubecl::Runtime;
use cubecl::wgpu::{AutoGraphicsApi, GraphicsApi, WgpuDevice, WgpuRuntime};

use self::groups::{check_group_advantage, check_group_baseline, check_whiten};
use self::tokens::{
    check_logit_logprob, check_logit_logprob_backward, check_tail, check_token_weights,
};
use crate::kernel::Op;
use crate::kernel::check::{Case, Visitor, noise};
use crate::kernel::cube::tensor::tensor_of;
use crate::kernel::cube::{rounded_product, strict_product};
use crate::kernel::op::Elements;
use crate::kernel::ops::every_operation;

type CubeTensor = burn_cubecl::tensor::CubeTensor<WgpuRuntime>;

/// A row: a shader's name, which is its operation's, and how it is looked at closely in one form.
type Row = (&'static str, fn(Form, &CubeTensor) -> f32);

const TABLE: [Row; 6] = [
    ("group_baseline", check_group_baseline),
    ("group_advantage", check_group_advantage),
    ("whiten", check_whiten),
    ("token_weights", check_token_weights),
    ("logit_logprob", check_logit_logprob),
    ("logit_logprob_backward", check_logit_logprob_backward),
];

/// The two forms of an operation for GPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Wgsl,
    CubeCl,
}

impl Form {
    fn run<T: Op<I, O>, const I: usize, const O: usize>(
        self,
        op: &T,
        inputs: [CubeTensor; I],
    ) -> [CubeTensor; O] {
        match self {
            Self::Wgsl => op.wgsl(inputs),
            Self::CubeCl => op.cubecl(inputs),
        }
    }
}

#[test]
fn every_kernel_on_the_device_agrees_with_its_cpu_reference() {
    let Some(device) = device() else { return };
    for form in [Form::Wgsl, Form::CubeCl] {
        every_operation(&mut OnDevice { form, device: &device });
        for (kernel, check) in TABLE {
            let began = Instant::now();
            let worst = check(form, &device);
            let secs = began.elapsed().as_secs_f32();
            eprintln!("{kernel} in {form:?}: {worst:.2} of the tolerance, {secs:.1} s");
        }
        check_tail(form, &device);
    }
    check_products(&device);
}

/// What CUDA multiplies by, strictly and in 16 bits, runs here too: the kernels are the same, in another
/// language.
fn check_products(device: &CubeTensor) {
    let f16 = |x: f32| half::f16::from_f32(x).to_f32();
    for shape in [[1, 5, 3], [70, 96, 130], [33, 128, 64], [200, 40, 16]] {
        let strict = |x, weight| strict_product(x, weight).unwrap();
        check_product(device, "strict product", shape, strict, |x| x);
        // WGSL has f16 and no bf16.
        let rounded = |x, weight| rounded_product(x, weight, DType::F16).unwrap();
        check_product(device, "product of 16 bits", shape, rounded, f16);
    }
}

fn check_product(
    device: &CubeTensor,
    name: &str,
    [n, inner, outputs]: [usize; 3],
    product: impl Fn(CubeTensor, CubeTensor) -> CubeTensor,
    rounded: impl Fn(f32) -> f32,
) {
    let [x, weight] = [noise([n, inner], 1), noise([inner, outputs], 2)];
    let on_device = |matrix: &Elements| tensor_of(device, matrix.shape().clone(), matrix);
    // As `linear` has it: the right side is a transposed view.
    let rows: Vec<f32> =
        (0..inner * outputs).map(|at| weight[at % inner * outputs + at / inner]).collect();
    let mut right = on_device(&Elements::new(rows, Shape::new([outputs, inner])));
    right.meta.swap(0, 1);
    let got = floats(product(on_device(&x), right));
    let element = |at: usize| -> f32 {
        let (row, column) = (at / outputs, at % outputs);
        let of = |i: usize| rounded(x[row * inner + i]) * rounded(weight[i * outputs + column]);
        (0..inner).map(of).sum()
    };
    let want: Vec<f32> = (0..n * outputs).map(element).collect();
    near(name, &got, &want, |_| 1e-5 * (inner as f32).sqrt());
}

/// Runs what it is shown and holds it to the CPU body. Gradients are held to the CPU by the tests of
/// `devices --check`, which walk the same list.
struct OnDevice<'a> {
    form: Form,
    device: &'a CubeTensor,
}

impl Visitor for OnDevice<'_> {
    fn visit<T: Op<I, O>, const I: usize, const O: usize>(&mut self, case: Case<T, I>) {
        let inputs = case.inputs.each_ref().map(|x| tensor_of(self.device, x.shape().clone(), x));
        let got = self.form.run(&case.op, inputs).map(floats);
        for (i, (got, want)) in got.into_iter().zip(case.op.cpu(case.inputs)).enumerate() {
            let [got, want] = [got, want].map(|values| (case.read_by)(i, values));
            let size = want.iter().fold(0.0f32, |size, number| size.max(number.abs()));
            near(T::NAME, &got, &want, |_| 1e-5 * size);
        }
    }
}

/// A tensor of the device that others are made beside, or a line that says why there is none.
fn device() -> Option<CubeTensor> {
    const OF_ANY_KIND: u16 = 4;
    if WgpuRuntime::enumerate_devices(OF_ANY_KIND, &AutoGraphicsApi::backend()).is_empty() {
        // Past the harness, which keeps what a passing test prints.
        writeln!(std::io::stderr(), "skipped: no GPU adapter (kernels against the CPU)").unwrap();
        return None;
    }
    Some(beside(&WgpuDevice::DefaultDevice))
}

fn beside<R: CubeRuntime>(device: &R::Device) -> burn_cubecl::tensor::CubeTensor<R> {
    let client = R::client(device);
    let buffer = client.empty(size_of::<f32>());
    let shape = Shape::new([1]);
    let dtype = DType::F32;
    burn_cubecl::tensor::CubeTensor::new_contiguous(client, device.clone(), shape, buffer, dtype)
}

fn floats(tensor: CubeTensor) -> Vec<f32> {
    into_data_sync(tensor).into_vec().unwrap()
}

/// Numbers of the host as the CPU body takes them.
fn elements(values: &[f32], shape: impl Into<Shape>) -> Elements<'_> {
    Elements::new(values, shape.into())
}

/// Asserts `|got - want| <= tolerance` everywhere and returns the largest share of it.
#[track_caller]
fn near(what: &str, got: &[f32], want: &[f32], tolerance: impl Fn(usize) -> f32) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}");
    let mut worst = 0.0f32;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(error <= tolerance(i), "{what}, element {i}: {got} against {want}");
        if error > 0.0 {
            worst = worst.max(error / tolerance(i));
        }
    }
    worst
}
