//! Embeddings of tokens that a device drew: a unit an element.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::stored::{number_at, words_of};
use super::tensor::empty;
use super::{GpuForm, alone, array, upload};
use crate::kernel::ops::gather_drawn::GatherDrawn;
use crate::kernel::ops::weight::Layout;
use crate::kernel::stored::Storage;

#[cube(launch)]
fn open_drawn_kernel(
    words: &Array<u32>,
    drawn: &Array<f32>,
    index: &Array<u32>,
    out: &mut Array<f32>,
    width: u32,
    words_of_panel: u32,
    count: u32,
    #[comptime] storage: Storage,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    let token = u32::cast_from(drawn[index[at / width] as usize * 2]) as usize;
    out[at] = number_at(words, token, at % width, words_of_panel as usize, storage);
}

#[cube(launch)]
fn gather_drawn_kernel(
    x: &Array<f32>,
    drawn: &Array<f32>,
    index: &Array<u32>,
    out: &mut Array<f32>,
    width: u32,
    count: u32,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    let token = u32::cast_from(drawn[index[at / width] as usize * 2]) as usize;
    out[at] = x[token * width + at % width];
}

impl GpuForm<2, 1> for GatherDrawn {
    fn cubecl<R: CubeRuntime>(&self, [x, drawn]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let (width, rows) = (self.of.inputs(x.meta.shape()), self.index.len());
        let (out, count) = (empty(&x, [rows, width]), rows * width);
        if count == 0 {
            return [out];
        }
        let (client, (cubes, units)) = (&x.client, alone(&x.client, count));
        match self.of {
            Layout::Stored { storage, .. } => open_drawn_kernel::launch(
                client,
                cubes,
                units,
                words_of(&x),
                array(&drawn),
                upload(client, &self.index),
                array(&out),
                width as u32,
                storage.words_of_panel(width) as u32,
                count as u32,
                storage,
            ),
            _ => gather_drawn_kernel::launch(
                client,
                cubes,
                units,
                array(&x),
                array(&drawn),
                upload(client, &self.index),
                array(&out),
                width as u32,
                count as u32,
            ),
        }
        [out]
    }
}
