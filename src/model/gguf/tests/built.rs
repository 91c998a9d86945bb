//! GGUF files put together by hand, whether they make sense or not.

/// A value of the metadata.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Text(&'static str),
    Whole(u32),
    Number(f32),
    Flag(bool),
    Texts(Vec<&'static str>),
    Numbers(Vec<f32>),
    /// Kind and bytes, as they are.
    Raw(u32, Vec<u8>),
}

/// A tensor: name, dimensions in ggml's order, number of the encoding, bytes.
pub(super) type Tensor = (String, Vec<u64>, u32, Vec<u8>);

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn list(kind: u32, count: usize) -> Vec<u8> {
    [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &(count as u64).to_le_bytes()].concat()
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        let single = |kind: u32, bytes: &[u8]| [&kind.to_le_bytes(), bytes].concat();
        match self {
            Self::Text(value) => single(8, &text(value)),
            Self::Whole(value) => single(4, &value.to_le_bytes()),
            Self::Number(value) => single(6, &value.to_le_bytes()),
            Self::Flag(value) => single(7, &[u8::from(*value)]),
            Self::Texts(values) => {
                [list(8, values.len()), values.iter().flat_map(|value| text(value)).collect()]
                    .concat()
            }
            Self::Numbers(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                [list(6, values.len()), bytes].concat()
            }
            Self::Raw(kind, bytes) => single(*kind, bytes),
        }
    }
}

/// A whole file.
pub(super) fn build(metadata: &[(&str, Entry)], tensors: &[Tensor]) -> Vec<u8> {
    let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, entry) in metadata {
        bytes.extend([text(key), entry.bytes()].concat());
    }
    let mut offset = 0u64;
    for (name, dimensions, kind, data) in tensors {
        bytes.extend(text(name));
        bytes.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += (data.len() as u64).next_multiple_of(32);
    }
    for (_, _, _, data) in tensors {
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(data);
    }
    bytes
}

/// A vector of f32.
pub(super) fn vector(name: &str, values: &[f32]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    (name.into(), vec![values.len() as u64], 0, bytes)
}

/// A matrix of zeros in f32.
pub(super) fn matrix(name: &str, rows: usize, width: usize) -> Tensor {
    (name.into(), vec![width as u64, rows as u64], 0, vec![0; 4 * rows * width])
}
