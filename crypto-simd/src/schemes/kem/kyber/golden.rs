//! What circl 1.6.5 computes (`kem/kyber/kyber768`, the library under the reference): keys from seeds, ciphertexts from
//! coins. The hybrid around it was written for these vectors from the description of its parts (sphinx.md 11.2, 11.3),
//! on Go's X25519 and BLAKE2b. Keys and ciphertexts stand here as their BLAKE2b-256 digests.

/// A key, a ciphertext for it, and the ciphertext with one bit changed.
pub(super) struct Case {
    pub(super) seed: &'static str,
    pub(super) public_digest: &'static str,
    pub(super) private_digest: &'static str,
    /// What encapsulation draws.
    pub(super) coins: &'static str,
    pub(super) ciphertext_digest: &'static str,
    pub(super) secret: &'static str,
    /// The byte whose lowest bit is changed.
    pub(super) changed_at: usize,
    /// The secret of the changed ciphertext.
    pub(super) of_changed: &'static str,
}

/// Kyber768.
pub(super) const KYBER768: &[Case] = &[
    Case {
        seed: "8ade3bdfbbfa0e250d0d0edebd1cf7cf83047cba3344d83219e0336a0a786b19d6387a2566cc85eb3f9fb707f9368b98\
               a8a417fd1354f2f671371790e407fe77",
        public_digest: "5518e450febe910354f1eda939972f9e1047de8365d3ff65619c079e3b98b94d",
        private_digest: "b7ee5f9a6eea7b1f128a2f110cea86eaa55bd4bac56c41b0a921ab1a9154ced7",
        coins: "9c9fb4bb584421803dd88c61791071a7b112ecfe529138ac3ef3840b72f2a3c9",
        ciphertext_digest: "04569214057384fb445a15332a729d5c742abc39b6b87d5a8ddc2a3911c6b6a9",
        secret: "63080ebeff6eeeaf1c8b24a18d7a0b760ef864dda999bf306b3038b01b7be3dd",
        changed_at: 0,
        of_changed: "bea9e39339cc558ca2a0b95f80aa10bd32f3f754f6527d854a394e4cb0da5914",
    },
    Case {
        seed: "1a18325a42cd40b00598e4921ebd6f9defe9d6f1c2d63265f4efd32dfecd3fdd9d16950ca8db2d6ebbd9a0aae165a632\
               f4d3a9af469046463dc6440abeb5c77c",
        public_digest: "d6fb13fd4c49055eb912764869ea9cfe61f07c151da0cb7b1f7c7d90dc40bf44",
        private_digest: "e0700ecc05590174a13e18ad5cbb5c10f27b971bec35888fbe4c4d7b2b75f576",
        coins: "80dd14f76fb3a81d64c34728008a1f4b2b8dc8795c60ffcde56c42fd6fe6b685",
        ciphertext_digest: "edd47bc16f3c3e3d99659421bc7bc33e4f396ca5d098fa613980e894620b7d0e",
        secret: "336fdd6ffb4afff47aeb2cf299786a9d277c7dfe6ae1474bca6dd93f92483bf6",
        changed_at: 1087,
        of_changed: "1788c58ecadd6ab6a0619e31842de065e4ea13026d35f4d51d78d2b622d764b3",
    },
    Case {
        seed: "bc94fe8dd9d5eb99ce570d912ec617db7d09f2cb8c8ccd97bcd26372fbf0acee8012ee2e2a2478169c779017ed36f322\
               98e94055d08dd50098d1e14bb5224c7a",
        public_digest: "b5b532f30288c5cae4a6496158c2598ecb98d42e590619f695164aac1d96a266",
        private_digest: "2b7ee0f3d71154980c72b543d484e937d018a09c60d1f222c1391ce07bd0c897",
        coins: "fcbd89c1000dcf4fc35673c2031462a4a331b9a547829dce16c6e5df9a8554a7",
        ciphertext_digest: "aa627367f40f1c52edceeae58a19a2f0de43d45b84f32052ebbd33d04c61aff6",
        secret: "645d0525dd3c6bfa713606eac62eab76cde8c659c4284265b4e47fc6b2b4a1d7",
        changed_at: 960,
        of_changed: "2fc18afc50a7efcfbe797f4daa2ff8a3f7afafa78441125a8535408eae9ebf4a",
    },
];

/// Kyber768-X25519; encapsulation draws the ephemeral X25519 key first.
pub(super) const KYBER768_X25519: &[Case] = &[
    Case {
        seed: "bf547e6d9326373592db8aac210ea923ef7cc1a5048ed916fdd52c2649c92e78695fee7ef843d920ee6ea4974925ea20\
               b19251f67a9911dca051b0c3620baf37ab7d7561d744f44b338528416b7d6f9916a01948263a6d23ac32c56aa6e686d3",
        public_digest: "3161ce9f468a4fa3a03969e07ae00de71c343a3bb1f9c4bab96212da8b5e2323",
        private_digest: "5dc58c3399f6d1b93ad1850023fc12dd92715dcf0e6d1b3fed2e01f873ee8706",
        coins: "8b781fc0c4d28930631188aa40e5bd7f0812616cc6f98eae27343828ea92f391e7773331df58d6b672c75018d9806f95\
               88f41bc4c98a05d6fe696a8f1aef1fc1",
        ciphertext_digest: "310bc5566a2aebb6cf4db9608fd8d56b53d3f57dee2d62d1310fac71200020ce",
        secret: "ae9fa6811ade00cf4e736ca8a2cc5cadbaffbbe9a911da65357a4c0836023a5a",
        changed_at: 0,
        of_changed: "a819ae23f853c71c217cfcd1ce94c9d88d9f4cf1ab2f72e29406a8e3473518a0",
    },
    Case {
        seed: "0462682580d426071db57f0888fe244fa208ae3ee0009926151b0ea8fad4930a2b412503bef7822b1c4380b5829ea607\
               f383bb56076e8c3915392d66e5f75c7227475dc3bbaf7cf8bb5820697716d625521e98dac95fbae7a83972a21bb89ef7",
        public_digest: "89170b50221f63d5ea59716cd0c31dc5172ed05e2d0bd0a3f36cd024f3f14164",
        private_digest: "ee8ccccb697e35aea2ef7ba9ca105279af9886e92de528cdf7e5a48c90e4723a",
        coins: "49ade3ad1e21f4a7756cf877fd448317a20846fb12142a5a2e4f95578fa7e6328f4f8d27aaa44f7968ed760b21639c67\
               cf5a159fea01227140cd73fefa791471",
        ciphertext_digest: "9d88d50233a5e0fcbe2d3b0809f5bbf6d68d22a6951ec16d2833fc565c59fadb",
        secret: "5823ec4cd9cad73627609f0dffc3910be10855f0dbf1154f0d733d5212bfcd43",
        changed_at: 32,
        of_changed: "9f10eaec014cb29fdf46b86617e75a9693241331ca503eeb818bd809bc300448",
    },
    Case {
        seed: "a4aa39552e4f247388c5ca727a2cb0d6072d9217e56568058cf413f76f4e055428772edb89def27ff310f525c4df3536\
               1696ec2f61eb3e3eb07bcadfb2b14e81a034fcfc8e687b2ec76e6d302d8a54560209454082f0bd881de12ffdf305292d",
        public_digest: "cac92872be3ede0930db17dcdc54faead688d827cbe5abf660483e299f7932ed",
        private_digest: "d0ae1294a9db3075eeafc2a54a3b1b264ffb560d251eed87ee75e0b7181d4ab9",
        coins: "461fa86a19e942ae1b50cbc678b1aff2395a43f362500bd9b273ef6f089b6e2facdac0bc50e2a739b50abd377b4cb5a5\
               84a4fb1422e6a2cf4f426fb31ef252bc",
        ciphertext_digest: "ecf539a6f6f797f84122a020da0732b95d1304014f864deff10595c17fcd4d22",
        secret: "07445e6455354f64a1a9d87a36647888d1f4ea9d4c9ab1dc12679c354328b493",
        changed_at: 1119,
        of_changed: "efdebdca49058f1d6be6c8e29adddf3f16938691321f87400d24d3fb2024f795",
    },
];

/// Kyber768 for a public key with a coefficient that is not reduced: the first even one that has room gets q more.
pub(super) const UNREDUCED: Case = Case {
    seed: "ca4e68a34ce2c414bf057607f1fb31cc714c24a3e132221d1533c58b1a481b2f9c3c81915899d772d8f137a33220a034\
           a72b3f827b70099ec7834cde8c9f110a",
    public_digest: "74e60082d37fe987511d27d32430e2871e558fab382dcef1b0659ab1bf6329e2",
    private_digest: "de0ebb381017d4c6f47663ef170e76033bb6d1a1c7f9bf97172954198c9a83d8",
    coins: "14de0285ffc6488641bd059f61501ecbdb358880ff5de1859fc86868e2ad5fe0",
    ciphertext_digest: "0bf214f6a37c979b31a419c49c613a8f36c0860da2746ea5e197828f32dd6c2f",
    secret: "10bb41d939beff1b13468c87b78fb028a70eed989b1d3438d017e5924d439b02",
    changed_at: 500,
    of_changed: "",
};
