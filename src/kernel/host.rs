//! CPU backends seen as slices, and the kernels' plain-Rust twins wired to them.

use std::borrow::Cow;

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, FloatTensorOps};
use burn::tensor::{Shape, TensorMetadata};

use super::group_advantage::group_advantage;
use super::group_baseline::{GroupBaselines, GroupTable, group_baseline};
use super::group_rule::{GroupRule, PivotDraws};
use super::token_weights::{TokenWeighting, token_weights};
use super::whiten::whiten;
use super::{
    DeviceMemory, Kernels, TrainingKernels, adamw, attention, linear, rms_norm, rope, rows, sample,
    swiglu, token_logprob,
};

/// A backend whose float tensors are f32 slices in this process.
pub trait Host: Backend {
    /// The elements in row-major order; copied only where the tensor is a strided view.
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]>;

    /// A tensor that takes the elements over without a copy.
    fn wrap(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self>;

    /// The tensor after `change`; in place where nobody else holds it.
    fn update(tensor: FloatTensor<Self>, change: impl FnOnce(&mut [f32])) -> FloatTensor<Self>;
}

#[cfg(feature = "ndarray")]
impl Host for burn::backend::NdArray {
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        use burn::backend::ndarray::NdArrayTensor;
        let NdArrayTensor::F32(storage) = tensor else {
            panic!("the CPU kernels take f32 tensors")
        };
        let view = storage.view();
        match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(view.iter().copied().collect()),
        }
    }

    fn wrap(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        match ndarray::ArrayD::from_shape_vec(shape.to_vec(), elements) {
            Ok(array) => array.into_shared().into(),
            Err(error) => panic!("elements do not fill the shape: {error}"),
        }
    }

    fn update(tensor: FloatTensor<Self>, change: impl FnOnce(&mut [f32])) -> FloatTensor<Self> {
        use burn::backend::ndarray::NdArrayTensor;
        let shape = tensor.shape();
        let NdArrayTensor::F32(storage) = tensor else {
            panic!("the CPU kernels take f32 tensors")
        };
        let mut array = storage.into_shared();
        if let Some(slice) = array.as_slice_mut() {
            change(slice);
            return array.into();
        }
        let mut elements: Vec<f32> = array.iter().copied().collect();
        change(&mut elements);
        Self::wrap(elements, shape)
    }
}

#[cfg(feature = "flex")]
impl Host for burn::backend::Flex {
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        match tensor.as_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(tensor.to_contiguous().storage::<f32>().to_vec()),
        }
    }

    fn wrap(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        burn::backend::flex::FlexTensor::from_data(burn::tensor::TensorData::new(elements, shape))
    }

    fn update(tensor: FloatTensor<Self>, change: impl FnOnce(&mut [f32])) -> FloatTensor<Self> {
        let mut whole = tensor.to_contiguous();
        drop(tensor);
        change(whole.storage_mut());
        whole
    }
}

fn dims<const D: usize>(tensor: &impl TensorMetadata) -> [usize; D] {
    tensor.shape().dims()
}

/// Flags and token counts as the twins take them; a device holds every table in floats.
fn counts(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| *value as u32).collect()
}

/// Wires every kernel of [`Kernels`] to its CPU twin.
macro_rules! kernels_on_the_host {
    ($backend:ty) => {
        impl Kernels for $backend {
            fn project(x: &FloatTensor<Self>, weight: &FloatTensor<Self>) -> FloatTensor<Self> {
                let ([n, input], [output, _]) = (dims(x), dims(weight));
                let y = linear::forward(&Self::read(x), &Self::read(weight), input);
                Self::wrap(y, Shape::new([n, output]))
            }

            fn rms_norm(
                x: &FloatTensor<Self>,
                gamma: &FloatTensor<Self>,
                epsilon: f32,
            ) -> FloatTensor<Self> {
                let y = rms_norm::forward(&Self::read(x), &Self::read(gamma), epsilon);
                Self::wrap(y, x.shape())
            }

            fn swiglu(gate: &FloatTensor<Self>, up: &FloatTensor<Self>) -> FloatTensor<Self> {
                Self::wrap(swiglu::forward(&Self::read(gate), &Self::read(up)), gate.shape())
            }

            fn rope(x: FloatTensor<Self>, rotary: &rope::Rotary) -> FloatTensor<Self> {
                Self::update(x, |x| rotary.rotate(x, false))
            }

            fn packed_attention(
                [q, k, v]: [&FloatTensor<Self>; 3],
                plan: &attention::AttentionPlan,
            ) -> [FloatTensor<Self>; 2] {
                let (k, v, shape) = (Self::read(k), Self::read(v), q.shape());
                let inputs = attention::Inputs { q: &Self::read(q), k: &k, v: &v };
                let (out, lse) = attention::forward(plan, inputs);
                let heads = lse.len() / shape[0].max(1);
                let lse_shape = Shape::new([shape[0], heads]);
                [Self::wrap(out, shape), Self::wrap(lse, lse_shape)]
            }

            fn token_logprob(
                hidden: &FloatTensor<Self>,
                head: &FloatTensor<Self>,
                tokens: &[u32],
                temperature: f32,
            ) -> [FloatTensor<Self>; 2] {
                let (hidden, head) = (Self::read(hidden), Self::read(head));
                let inputs =
                    token_logprob::Inputs { hidden: &hidden, head: &head, tokens, temperature };
                let (out, lse) = token_logprob::forward(inputs);
                let n = tokens.len();
                [Self::wrap(out, Shape::new([n, 2])), Self::wrap(lse, Shape::new([n]))]
            }

            fn logit_logprob(
                logits: &FloatTensor<Self>,
                tokens: &[u32],
                temperature: f32,
            ) -> [FloatTensor<Self>; 2] {
                let (out, lse) = token_logprob::of_logits(&Self::read(logits), tokens, temperature);
                let n = tokens.len();
                [Self::wrap(out, Shape::new([n, 2])), Self::wrap(lse, Shape::new([n]))]
            }

            fn token_weights(
                advantages: &FloatTensor<Self>,
                lengths: &[u32],
                tokens: usize,
                weighting: TokenWeighting,
            ) -> [FloatTensor<Self>; 2] {
                let both = token_weights(&Self::read(advantages), lengths, tokens, weighting);
                both.map(|values| Self::wrap(values, Shape::new([lengths.len(), tokens])))
            }

            fn group_baseline(
                [rewards, valid, lengths]: [&FloatTensor<Self>; 3],
                rule: &GroupRule,
                draws: PivotDraws,
            ) -> FloatTensor<Self> {
                let [p, g] = dims(rewards);
                let (valid, lengths) = (counts(&Self::read(valid)), counts(&Self::read(lengths)));
                let rewards = Self::read(rewards);
                let table =
                    GroupTable { g, rewards_pg: &rewards, valid_pg: &valid, lengths_pg: &lengths };
                let rows = group_baseline(&table, rule, draws).to_rows();
                Self::wrap(rows, Shape::new([p, 4]))
            }

            fn group_advantage(
                [rewards, valid]: [&FloatTensor<Self>; 2],
                baselines: &FloatTensor<Self>,
                clip: f32,
            ) -> [FloatTensor<Self>; 2] {
                let (shape, [_, g]) = (rewards.shape(), dims(rewards));
                let (rewards, valid) = (Self::read(rewards), counts(&Self::read(valid)));
                let table =
                    GroupTable { g, rewards_pg: &rewards, valid_pg: &valid, lengths_pg: &valid };
                let baselines = GroupBaselines::from_rows(&Self::read(baselines));
                let out = group_advantage(&table, &baselines, clip);
                let keep = out.keep_pg.iter().map(|keep| *keep as f32).collect();
                [Self::wrap(out.advantages_pg, shape.clone()), Self::wrap(keep, shape)]
            }

            fn whiten(
                advantages: &FloatTensor<Self>,
                tokens: &FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                let counts = counts(&Self::read(tokens));
                let white = whiten(&Self::read(advantages), &counts);
                Self::wrap(white, advantages.shape())
            }

            fn gather_rows(x: &FloatTensor<Self>, index: &[u32]) -> FloatTensor<Self> {
                let [_, width] = dims(x);
                let out = rows::gather(&Self::read(x), width, index);
                Self::wrap(out, Shape::new([index.len(), width]))
            }

            fn write_rows(
                x: FloatTensor<Self>,
                index: &[u32],
                rows: &FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                let [_, width] = dims(&x);
                Self::update(x, |x| rows::write(x, width, index, &Self::read(rows)))
            }

            fn sample(
                logits: &FloatTensor<Self>,
                uniforms: &[f32],
                sampling: sample::Sampling,
            ) -> FloatTensor<Self> {
                let rows = sample::rows(&Self::read(logits), uniforms, sampling);
                Self::float_from_data(rows, &Self::float_device(logits))
            }

            fn device_memory(_: &Self::Device) -> Option<DeviceMemory> {
                None
            }
        }

        impl TrainingKernels for $backend {
            fn project_backward(
                x: &FloatTensor<Self>,
                weight: &FloatTensor<Self>,
                dy: &FloatTensor<Self>,
                needs: [bool; 2],
            ) -> [Option<FloatTensor<Self>>; 2] {
                let ([n, input], [output, _]) = (dims(x), dims(weight));
                let dy = Self::read(dy);
                let dx = needs[0].then(|| {
                    let dx = linear::input_gradient(&dy, &Self::read(weight), input);
                    Self::wrap(dx, Shape::new([n, input]))
                });
                let dweight = needs[1].then(|| {
                    let dweight = linear::weight_gradient(&dy, &Self::read(x), input);
                    Self::wrap(dweight, Shape::new([output, input]))
                });
                [dx, dweight]
            }

            fn rms_norm_backward(
                x: &FloatTensor<Self>,
                gamma: &FloatTensor<Self>,
                epsilon: f32,
                dy: &FloatTensor<Self>,
            ) -> [FloatTensor<Self>; 2] {
                let (dx, dgamma) = rms_norm::backward(
                    &Self::read(x),
                    &Self::read(gamma),
                    epsilon,
                    &Self::read(dy),
                );
                [Self::wrap(dx, x.shape()), Self::wrap(dgamma, gamma.shape())]
            }

            fn swiglu_backward(
                gate: &FloatTensor<Self>,
                up: &FloatTensor<Self>,
                dy: &FloatTensor<Self>,
            ) -> [FloatTensor<Self>; 2] {
                let (dgate, dup) =
                    swiglu::backward(&Self::read(gate), &Self::read(up), &Self::read(dy));
                [Self::wrap(dgate, gate.shape()), Self::wrap(dup, up.shape())]
            }

            fn rope_backward(dy: FloatTensor<Self>, rotary: &rope::Rotary) -> FloatTensor<Self> {
                Self::update(dy, |dy| rotary.rotate(dy, true))
            }

            fn packed_attention_backward(
                [q, k, v]: [&FloatTensor<Self>; 3],
                plan: &attention::AttentionPlan,
                [out, lse]: [&FloatTensor<Self>; 2],
                dout: &FloatTensor<Self>,
            ) -> [FloatTensor<Self>; 3] {
                let shapes = [q.shape(), k.shape(), v.shape()];
                let (k, v) = (Self::read(k), Self::read(v));
                let inputs = attention::Inputs { q: &Self::read(q), k: &k, v: &v };
                let saved = attention::Saved {
                    out: &Self::read(out),
                    lse: &Self::read(lse),
                    dout: &Self::read(dout),
                };
                let [dq, dk, dv] = attention::backward(plan, inputs, saved);
                let [q, k, v] = shapes;
                [Self::wrap(dq, q), Self::wrap(dk, k), Self::wrap(dv, v)]
            }

            fn token_logprob_backward(
                [hidden, head]: [&FloatTensor<Self>; 2],
                tokens: &[u32],
                temperature: f32,
                [out, lse]: [&FloatTensor<Self>; 2],
                dout: &FloatTensor<Self>,
            ) -> [FloatTensor<Self>; 2] {
                let shapes = (hidden.shape(), head.shape());
                let (hidden, head) = (Self::read(hidden), Self::read(head));
                let inputs =
                    token_logprob::Inputs { hidden: &hidden, head: &head, tokens, temperature };
                let saved = [Self::read(out), Self::read(lse), Self::read(dout)];
                let saved =
                    token_logprob::Saved { out: &saved[0], lse: &saved[1], dout: &saved[2] };
                let (dhidden, dhead) = token_logprob::backward(inputs, saved);
                [Self::wrap(dhidden, shapes.0), Self::wrap(dhead, shapes.1)]
            }

            fn logit_logprob_backward(
                logits: &FloatTensor<Self>,
                tokens: &[u32],
                temperature: f32,
                [out, lse]: [&FloatTensor<Self>; 2],
                dout: &FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                let saved = [Self::read(out), Self::read(lse), Self::read(dout)];
                let saved =
                    token_logprob::Saved { out: &saved[0], lse: &saved[1], dout: &saved[2] };
                let mut dlogits = Self::read(logits).into_owned();
                token_logprob::turn_into_gradients(&mut dlogits, tokens, temperature, saved);
                Self::wrap(dlogits, logits.shape())
            }

            fn gather_rows_backward(
                dout: &FloatTensor<Self>,
                index: &[u32],
                rows: usize,
            ) -> FloatTensor<Self> {
                let [_, width] = dims(dout);
                let dx = rows::scatter_add(&Self::read(dout), width, index, rows);
                Self::wrap(dx, Shape::new([rows, width]))
            }

            fn sum_of_squares(x: &FloatTensor<Self>) -> FloatTensor<Self> {
                let sum = super::math::sum_of_squares(&Self::read(x));
                Self::wrap(vec![sum], Shape::new([1]))
            }

            fn adamw_step(
                hyper: adamw::AdamW,
                weight: FloatTensor<Self>,
                [first, second]: [FloatTensor<Self>; 2],
                gradient: &FloatTensor<Self>,
            ) -> [FloatTensor<Self>; 3] {
                let gradient = Self::read(gradient);
                let mut moments = (None, None);
                let weight = Self::update(weight, |w| {
                    moments.0 = Some(Self::update(first, |m| {
                        moments.1 = Some(Self::update(second, |v| {
                            adamw::step(hyper, w, [m, v], &gradient);
                        }));
                    }));
                });
                let (Some(first), Some(second)) = moments else {
                    unreachable!("`update` calls its argument once")
                };
                [weight, first, second]
            }
        }
    };
}

#[cfg(feature = "ndarray")]
kernels_on_the_host!(burn::backend::NdArray);

#[cfg(feature = "flex")]
kernels_on_the_host!(burn::backend::Flex);
