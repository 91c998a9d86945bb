//! Tables that the layers of a pass share, sent to a GPU once for all of them.

use std::ops::Deref;
use std::sync::Arc;

#[cfg(feature = "cube")]
pub use self::on_device::Uploaded;

/// Numbers of the host that the layers of a pass share.
#[derive(Debug, Clone)]
pub struct Table<N> {
    numbers: Arc<[N]>,
    #[cfg(feature = "cube")]
    uploaded: Uploaded,
}

impl<N> Table<N> {
    /// A table of these numbers.
    pub fn new(numbers: impl Into<Arc<[N]>>) -> Self {
        Self {
            numbers: numbers.into(),
            #[cfg(feature = "cube")]
            uploaded: Uploaded::default(),
        }
    }
}

impl<N> Deref for Table<N> {
    type Target = [N];

    fn deref(&self) -> &[N] {
        &self.numbers
    }
}

#[cfg(feature = "cube")]
mod on_device {
    use std::any::Any;
    use std::fmt;
    use std::sync::{Arc, Mutex, PoisonError};

    use burn_cubecl::CubeRuntime;
    use burn_cubecl::tensor::CubeTensor;

    use super::Table;
    use crate::kernel::cube::tensor::numbers;

    /// Where tables are kept on a device once a kernel has asked for them; clones share them.
    #[derive(Clone, Default)]
    pub struct Uploaded(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

    impl fmt::Debug for Uploaded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Uploaded")
        }
    }

    impl Uploaded {
        /// What `make` makes beside `like`; made again only where another device asks.
        pub(in crate::kernel) fn beside<R: CubeRuntime, const N: usize>(
            &self,
            like: &CubeTensor<R>,
            make: impl FnOnce() -> [CubeTensor<R>; N],
        ) -> [CubeTensor<R>; N] {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_here = |tables: &&[CubeTensor<R>; N]| tables[0].device == like.device;
            let made = held.as_ref().and_then(|tables| tables.downcast_ref()).filter(is_here);
            if let Some(made) = made {
                return made.clone();
            }
            let made = make();
            *held = Some(Box::new(made.clone()));
            made
        }
    }

    impl<N: bytemuck::Pod + Default> Table<N> {
        /// The numbers on the device of `like`.
        pub(in crate::kernel) fn beside<R: CubeRuntime>(
            &self,
            like: &CubeTensor<R>,
        ) -> CubeTensor<R> {
            let [table] = self.uploaded.beside(like, || [numbers(like, self)]);
            table
        }
    }
}
