//! Shared secrets of all schemes (sphinx.md 10, 11), one element after the other, over the fastest libraries.

use super::aws_lc;
use super::rust::{MlKem768, blake2b_256, blake2xb, sha3_256, shake256, x448};

const MLKEM_CIPHERTEXT_BYTES: usize = 1088;
const MLKEM_PUBLIC_BYTES: usize = 1184;

/// A shared secret.
#[derive(Clone, Copy, Debug)]
pub struct Secret {
    bytes: [u8; 56],
    len: usize,
}

impl Secret {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 56];
        bytes[..secret.len()].copy_from_slice(secret);
        Self { bytes, len: secret.len() }
    }
}

/// A private key on a curve.
#[derive(Clone, Copy)]
pub enum CurveKey {
    /// Curve25519.
    X25519([u8; 32]),
    /// Curve448.
    X448([u8; 56]),
}

impl CurveKey {
    /// The key of a NIKE by its name.
    pub fn new(name: &str, private: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "x25519" => Some(Self::X25519(private.try_into().ok()?)),
            "x448" => Some(Self::X448(private.try_into().ok()?)),
            _ => None,
        }
    }

    /// The product with a point; none for another length or a zero product.
    #[inline]
    pub fn multiply(&self, public: &[u8]) -> Option<Secret> {
        match self {
            Self::X25519(private) => aws_lc::x25519(private, public.try_into().ok()?).map(|s| Secret::of(&s)),
            Self::X448(private) => x448(private, public.try_into().ok()?).map(|s| Secret::of(&s)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::X25519(_) => 32,
            Self::X448(_) => 56,
        }
    }

    fn multiply_base(&self) -> Option<Secret> {
        let mut base = [0; 56];
        base[0] = if matches!(self, Self::X25519(_)) { 9 } else { 5 };
        self.multiply(&base[..self.bytes()])
    }
}

/// A private key of a KEM, expanded.
pub enum KemKey {
    /// Hashed ElGamal.
    Curve(HashedElGamal),
    /// ML-KEM-768.
    MlKem(MlKem768),
    /// X-Wing.
    XWing {
        /// The ML-KEM half.
        mlkem: MlKem768,
        /// The X25519 half.
        x25519: [u8; 32],
        /// Its public key.
        public: [u8; 32],
    },
    /// A curve and ML-KEM under the `splitprf-v1` combiner.
    Combined(HashedElGamal, MlKem768),
}

impl KemKey {
    /// The key of a KEM by its name, from the serialised form of sphinx.md 11.
    pub fn new(name: &str, private: &[u8]) -> Option<Self> {
        let mlkem = |private: &[u8]| Some(MlKem768::new(private.get(MLKEM_PUBLIC_BYTES..)?.try_into().ok()?));
        match name.to_ascii_uppercase().as_str() {
            "X25519" | "X448" => HashedElGamal::new(name, private).map(Self::Curve),
            "MLKEM768" => mlkem(private).map(Self::MlKem),
            "XWING" => {
                let expanded = shake256::<96>(private.last_chunk::<32>()?);
                let x25519 = *expanded.last_chunk()?;
                let public = CurveKey::X25519(x25519).multiply_base()?;
                let mlkem = MlKem768::new(expanded.first_chunk()?);
                Some(Self::XWing { mlkem, x25519, public: public.as_bytes().try_into().ok()? })
            }
            "MLKEM768-X25519" => {
                Some(Self::Combined(HashedElGamal::new("x25519", private.get(..32)?)?, mlkem(private.get(32..)?)?))
            }
            "MLKEM768-X448" => {
                Some(Self::Combined(HashedElGamal::new("x448", private.get(..56)?)?, mlkem(private.get(56..)?)?))
            }
            _ => None,
        }
    }

    /// The secret of a ciphertext; none for another length or a degenerate point.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        match self {
            Self::Curve(key) => key.decapsulate(ciphertext),
            Self::MlKem(key) => Some(Secret::of(&key.decapsulate(ciphertext.try_into().ok()?))),
            Self::XWing { mlkem, x25519, public } => {
                let (ciphertext_m, point) = ciphertext.split_at_checked(MLKEM_CIPHERTEXT_BYTES)?;
                let secret_m = mlkem.decapsulate(ciphertext_m.try_into().ok()?);
                let secret_x = aws_lc::x25519(x25519, point.try_into().ok()?)?;
                let mut message = [0; 134];
                let parts = [&secret_m[..], &secret_x, point, public, br"\.//^\"];
                let mut rest = &mut message[..];
                for part in parts {
                    let (now, later) = rest.split_at_mut(part.len());
                    now.copy_from_slice(part);
                    rest = later;
                }
                Some(Secret::of(&sha3_256(&message)))
            }
            Self::Combined(curve, mlkem) => {
                let (point, ciphertext_m) = ciphertext.split_at_checked(curve.key.bytes())?;
                let secret_c = curve.decapsulate(point)?;
                let secret_m = mlkem.decapsulate(ciphertext_m.try_into().ok()?);
                let (first_bytes, second_bytes) = (point.len() as u32, ciphertext_m.len() as u32);
                let (first_bytes, second_bytes) = (first_bytes.to_be_bytes(), second_bytes.to_be_bytes());
                let message = [b"splitprf-v1", &[0, 0, 0, 2][..], &first_bytes, point, &second_bytes, ciphertext_m];
                let prf = |secret: &[u8]| blake2b_256(&blake2b_256(&[], &[secret]), &message);
                let (first, second) = (prf(secret_c.as_bytes()), prf(&secret_m));
                Some(Secret::of(&std::array::from_fn::<u8, 32, _>(|index| first[index] ^ second[index])))
            }
        }
    }
}

/// A NIKE as a KEM (sphinx.md 11.2).
pub struct HashedElGamal {
    key: CurveKey,
    public: Secret,
}

impl HashedElGamal {
    fn new(name: &str, private: &[u8]) -> Option<Self> {
        let key = CurveKey::new(name, private)?;
        Some(Self { key, public: key.multiply_base()? })
    }

    fn decapsulate(&self, point: &[u8]) -> Option<Secret> {
        let product = self.key.multiply(point)?;
        let hashed;
        let key = if product.len == 32 {
            product.as_bytes()
        } else {
            hashed = blake2b_256(&[], &[product.as_bytes()]);
            &hashed[..]
        };
        let mut secret = Secret { bytes: [0; 56], len: product.len };
        blake2xb(key, &[self.public.as_bytes(), point], &mut secret.bytes[..product.len]);
        Some(secret)
    }
}
