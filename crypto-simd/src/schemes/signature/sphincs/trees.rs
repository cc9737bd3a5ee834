//! Hash trees: the hypertree of 17 layers of height 4, and FORS, the few-time signature of the message.

use super::N;
use super::hash::{Address, Hasher, Node, Purpose};
use super::wots::{self, Wots};

const LAYERS: u32 = 17;
const LAYER_HEIGHT: u32 = 4;
const FORS_HEIGHT: u32 = 9;

/// Leaves of a tree of the hypertree.
pub(super) const LEAVES: u32 = 1 << LAYER_HEIGHT;
/// Trees of FORS.
pub(super) const FORS_TREES: usize = 35;
/// Bytes of the message that FORS signs: an index of 9 bits for each tree.
pub(super) const FORS_MESSAGE_BYTES: usize = (FORS_TREES * FORS_HEIGHT as usize).div_ceil(8);

const FORS_TREE_BYTES: usize = (1 + FORS_HEIGHT as usize) * N;
const LAYER_BYTES: usize = wots::BYTES + LAYER_HEIGHT as usize * N;
/// Bytes of a FORS signature.
pub(super) const FORS_BYTES: usize = FORS_TREES * FORS_TREE_BYTES;
/// Bytes of a hypertree signature.
pub(super) const HYPERTREE_BYTES: usize = LAYERS as usize * LAYER_BYTES;

/// The indices of a message, least bit first.
pub(super) fn fors_indices(message: &[u8]) -> [u32; FORS_TREES] {
    std::array::from_fn(|tree| {
        (0..FORS_HEIGHT as usize).fold(0, |index, bit| {
            let at = tree * FORS_HEIGHT as usize + bit;
            index | u32::from(message[at / 8] >> (at % 8) & 1) << bit
        })
    })
}

/// Root of the tree over the leaves `first + 0`, `first + 1`, ..., `first + 2^height - 1`. Appends the authentication
/// path of the leaf `first + index` to `path`.
fn tree_hash(
    hasher: &Hasher,
    mut address: Address,
    height: u32,
    first: u32,
    index: u32,
    leaf: impl Fn(u32) -> Node,
    path: &mut Vec<u8>,
) -> Node {
    let mut nodes: Vec<Node> = (0..1 << height).map(|offset| leaf(first + offset)).collect();
    for level in 0..height {
        path.extend(nodes[(index >> level ^ 1) as usize]);
        let (pairs, _) = nodes.as_chunks::<2>();
        nodes = (first >> (level + 1)..)
            .zip(pairs)
            .map(|(index, pair)| {
                address.set_node(level + 1, index);
                hasher.tweaked(&address, pair)
            })
            .collect();
    }
    nodes[0]
}

/// Root of the tree in which `index` (counted over all trees of its kind) is `leaf` and has this authentication path.
fn root_from_path(hasher: &Hasher, mut address: Address, leaf: Node, index: u32, path: &[Node]) -> Node {
    (0..).zip(path).fold(leaf, |node, (level, sibling)| {
        address.set_node(level + 1, index >> (level + 1));
        let pair = if index >> level & 1 == 0 { [node, *sibling] } else { [*sibling, node] };
        hasher.tweaked(&address, &pair)
    })
}

/// The tree of trees whose leaves sign the roots of the layer below; the bottom layer's sign FORS keys.
pub(super) struct Hypertree;

impl Hypertree {
    /// The root of the only tree of the top layer.
    pub(super) fn root(hasher: &Hasher) -> Node {
        Self::tree(hasher, LAYERS - 1, 0, 0, &mut Vec::new())
    }

    /// Appends the signature of `message` by the leaf of the bottom layer's tree.
    pub(super) fn sign(hasher: &Hasher, message: Node, tree: u64, leaf: u32, signature: &mut Vec<u8>) {
        Self::places(tree, leaf).fold(message, |message, (layer, tree, leaf)| {
            Wots::at(hasher, layer, tree, leaf).sign(&message, signature);
            Self::tree(hasher, layer, tree, leaf, signature)
        });
    }

    /// The root to which a signature of [`HYPERTREE_BYTES`] belongs.
    pub(super) fn root_of(hasher: &Hasher, message: &Node, tree: u64, leaf: u32, signature: &[u8]) -> Node {
        let (nodes, _) = signature.as_chunks::<N>();
        let layers = nodes.chunks_exact(LAYER_BYTES / N);
        Self::places(tree, leaf).zip(layers).fold(*message, |message, ((layer, tree, leaf), nodes)| {
            let Some((wots, path)) = nodes.split_first_chunk() else { return message };
            let node = Wots::at(hasher, layer, tree, leaf).leaf_of(&message, wots);
            root_from_path(hasher, Self::address(layer, tree), node, leaf, path)
        })
    }

    /// Layer, tree and leaf from the bottom to the top.
    fn places(tree: u64, leaf: u32) -> impl Iterator<Item = (u32, u64, u32)> {
        (0..LAYERS).scan((tree, leaf), |(tree, leaf), layer| {
            let place = (layer, *tree, *leaf);
            *leaf = (*tree % u64::from(LEAVES)) as u32;
            *tree >>= LAYER_HEIGHT;
            Some(place)
        })
    }

    fn address(layer: u32, tree: u64) -> Address {
        Address::of_tree(layer, tree).with_purpose(Purpose::HashTree)
    }

    fn tree(hasher: &Hasher, layer: u32, tree: u64, leaf: u32, path: &mut Vec<u8>) -> Node {
        let node = |leaf| Wots::at(hasher, layer, tree, leaf).leaf();
        tree_hash(hasher, Self::address(layer, tree), LAYER_HEIGHT, 0, leaf, node, path)
    }
}

/// The few-time key pair that one leaf of the bottom layer signs.
pub(super) struct Fors<'a> {
    hasher: &'a Hasher,
    address: Address,
}

impl<'a> Fors<'a> {
    pub(super) fn at(hasher: &'a Hasher, tree: u64, leaf: u32) -> Self {
        let mut address = Address::of_tree(0, tree);
        address.set_key_pair(leaf);
        Self { hasher, address }
    }

    /// Appends the signature of the indices; gives the public key.
    pub(super) fn sign(&self, indices: &[u32; FORS_TREES], signature: &mut Vec<u8>) -> Node {
        let address = self.address.with_purpose(Purpose::ForsTree);
        let mut roots = [[0; N]; FORS_TREES];
        for ((root, index), first) in roots.iter_mut().zip(indices).zip((0..).step_by(1 << FORS_HEIGHT)) {
            signature.extend(self.secret(first + index));
            let leaf = |index| self.leaf(index, self.secret(index));
            *root = tree_hash(self.hasher, address, FORS_HEIGHT, first, *index, leaf, signature);
        }
        self.compress(&roots)
    }

    /// The public key to which a signature of [`FORS_BYTES`] belongs.
    pub(super) fn root_of(&self, indices: &[u32; FORS_TREES], signature: &[u8]) -> Node {
        let address = self.address.with_purpose(Purpose::ForsTree);
        let (nodes, _) = signature.as_chunks::<N>();
        let mut roots = [[0; N]; FORS_TREES];
        let trees = nodes.chunks_exact(FORS_TREE_BYTES / N).zip((0..).step_by(1 << FORS_HEIGHT));
        for ((root, index), (nodes, first)) in roots.iter_mut().zip(indices).zip(trees) {
            let Some((secret, path)) = nodes.split_first() else { continue };
            let leaf = self.leaf(first + index, *secret);
            *root = root_from_path(self.hasher, address, leaf, first + index, path);
        }
        self.compress(&roots)
    }

    fn secret(&self, index: u32) -> Node {
        let mut address = self.address.with_purpose(Purpose::ForsSecret);
        address.set_node(0, index);
        self.hasher.secret(&address)
    }

    fn leaf(&self, index: u32, secret: Node) -> Node {
        let mut address = self.address.with_purpose(Purpose::ForsTree);
        address.set_node(0, index);
        self.hasher.tweaked(&address, &[secret])
    }

    fn compress(&self, roots: &[Node; FORS_TREES]) -> Node {
        self.hasher.tweaked(&self.address.with_purpose(Purpose::ForsRoots), roots)
    }
}
