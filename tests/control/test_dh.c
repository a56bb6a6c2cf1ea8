/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/dh.h"

#include "control/conf/conf.h"
#include "tests/control/hex.h"

static struct rng_seeded rng;

/* Private values, public values in KE format and the shared secret. */
static const struct {
	uint16_t group;
	const char *i, *gi, *r, *gr, *shared;
} vectors[] = {
	/* RFC 7748 6.1 */
	{DH_CURVE_25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	 "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
	 "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
	 "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
	 "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	/* RFC 5903 8.1 */
	{DH_ECP_256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
	 "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
	 "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
	 "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
	 "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
	 "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
	 "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"},
	/* RFC 5903 8.2 */
	{DH_ECP_384,
	 "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655"
	 "e35b538041e649ee3faef896783ab194",
	 "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
	 "de3ac808acb4bdb4c88732aee95f41aa"
	 "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38e"
	 "eb9fcff3c2c947dae69b4c634573a81c",
	 "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942"
	 "e0308312916b8ed2960e4bd55a7448fc",
	 "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d"
	 "0d1ac43a0336def96fda41d0774a3571"
	 "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1ff"
	 "f83fa40142209dff5eaad96db9e6386c",
	 "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
	 "d603135569b9e9d09cf5d4a270f59746"},
	/* RFC 5903 8.3 */
	{DH_ECP_521,
	 "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0"
	 "95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52",
	 "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
	 "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e"
	 "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a"
	 "d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
	 "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e"
	 "9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
	 "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21"
	 "9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f"
	 "015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87"
	 "220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
	 "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04"
	 "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea"},
	/* Python's integers, with the primes from the formulas of RFC 3526 3 to 5. */
	{DH_MODP_2048,
	 "287a750a74e9a5ecc9a0bcad068b966d206b12e8f67a1a7de3600ffdc28afaef"
	 "e29f89b416456d65423a2176989993a37e3ff46b4462735e009687fc5a7999c2"
	 "6a05fb9cc555fbb84d371e17a66001861314abf6ed8523025d54ae4c6c49f4b9"
	 "17bb416df2c938437ada2bd28c77356221d6dbb02911ccdbbf04584c96181cdc"
	 "07f9faf42d43cb2866b8ec61b61ac6890d08af725a1bbded853b833712256f71"
	 "e213aebbdee2c03252b91d372b4a36e96784dc8e2499d63b0d824421a5f641ce"
	 "078da5191dfb031c8bf55970f89dfd2a95c7ce5509894856949a24fe6a7d6cb8"
	 "291407fc667f7e3d29c781a1a3d3cf09c349896c7880965569c5d751a392b59e",
	 "b19ce4734cf60b6fa865b777a762719dac0ad9a9986f4efcecfd3b2d1e3e05e2"
	 "370f3e22edc701f752a738989f8900ae075a9ecf886699b552c7dc3b26d8daff"
	 "e8f9d7e71f93eae8e2d84eb8720b7479c6eeb04518e65d5ce3e2c0fa3c3a2448"
	 "0fab2c915a10ae5dd3e61610145a49ffceed947337af62d8fefc69a7d505fc7e"
	 "5e0f738fe1ec39152dc6f9e4ce535a7c465caedfaea7858f25778ace18e01a60"
	 "74f1e6368b1ed13cb218108d2fdd4a2adf0d1ccae4436ca67bcb9c6c6dd7e804"
	 "f04cf0abedbb4ac08d60b84a014a4946ee456f71a1eac6f743a727c385dfc827"
	 "cf384e8b0a837fa2000151daf209c4eeae4fffb53be2a7a4bc231ccf33153597",
	 "5c84bbce5665c16af1bbaa08d128f4feb320ed2dfdcc4d55698d2bb78334442a"
	 "94251a0e4e551a451b0471904d191ebff25e66c890039eee819d761366da1637"
	 "117702d0e5f391aee8fd31c20bb7b0f2a456d77b1e71cf1341a16e00b0e5092e"
	 "239c27f33ff1a15aa5b5c6e009d1803a7ce150fd81cf0cf832034e51b03bffe1"
	 "7c5e1a99183cc889424fd20f0b1609f09ff09253594f25e2b201f9fcd1c5ceeb"
	 "018b9c99c0ef391536dadedde9395ccfaae82e0a8dc82acc3d3bfb7926cb02a6"
	 "9a72b2d9597af434fe1a5c19f00bbb34537e320df910f7233949e1dd5c2c2d7b"
	 "4d2709c3fa5ce22faced26d382f27222e8274711c7c4133667d79641f612f4de",
	 "76a7329df4084c5506127e84075c5c7b5bcebd40bed2c437ab33fc8cbef8f2d2"
	 "77c20d075a10ef88bd742fa43b5ead5f19e36c327915f51b5377f191718ec389"
	 "fbb310139b51b09de9a6166297d27d5e698f91678c31667e688adc13bbee352e"
	 "cdec613aa716d18a511458a1e90ae59f8ededb8eaeca5d07c63efebebb422051"
	 "52b3a41b5c4e8fe353da94ef1839cf6d33e928089120dea7e5f2007e7696e561"
	 "fefbdd7aba1a9f0ede83bfbc1fb62d514cbfa5034e35250de1717b5dace4d2e8"
	 "88ffbe9988623946e1c8b22b26c1ada7ef780312f0622f3f6dbf6c5f83edc681"
	 "74fb5e57ed95b195b69e90f24ca7770bfd25fff19403b48353e59e88b854b8dc",
	 "f5afe2e74befb58c21de3257cfd810214c6976ccd5e9c929d4d18d7dc60e1dd2"
	 "afb94da1e153f865a9ba2e5371324f1ab0d771a559331fa08ffbd908fd02a2ce"
	 "a2fd9bf56180b4dab742de2c68aa2b2d83908b264c52c90a48cc84f68fa49a7e"
	 "0880f41bb72fff3e86f9c599b667b034f3b3e34f2fe03f123cbe10d1ecf7bbf5"
	 "d9b0c77dcafb54d905694bf19c3ec2c0ef43f156a7f353aacd6b5f76150dbbf0"
	 "465880370559ee3700c06405e1e3a3bd95071531ad92793aea7e2aa280a6d3b2"
	 "41525bcd9db754a294699796af3b3a5f2b05f2686ee351a5adcc92cde5f692b7"
	 "6ec61b912df4e6cdf43ee2e01c089b00ecaef539b72301c0749143b5ebafe3b9"},
	{DH_MODP_3072,
	 "108fee9241d060afddf4639a8ee8c7e34b761da5d718c1a4c603c4ff0817de18"
	 "4a98c374dc9b9cb9df02c296e3c668474f250ae2553fba22a4e597248de07a37"
	 "598827cd49c3c86f6eb079354660fbe9865fda70efda4bfd962d1b34a5c8e53b"
	 "0b489fe673800514ad38b6ba9bbc1d6aa367ce7b779e18d41fded10792f625b5"
	 "ecb57b7dc7519cba5b96e43c00d39b75c3d43e008c6badca30f461bbf357c14f"
	 "ab7e645f8036b8c427255741ad249541802afa78344724c7455ef1d357161361"
	 "c1aa59bcc354ec322a6f635d288201d00b729831268e2321bf9239501f3979cf"
	 "de6e5e012bf290e6c843e97d1910b5d39ff6d44e1927461e65ec1ade004341d0"
	 "7e9540b5162e472f3b40dd1d1e4154f3c27f120d61268d89af8d3321a40c80a8"
	 "f6548ee7228c38494c31c804d71e8288a7e645177b43947470ad283317a70bb4"
	 "026ce7184183f9ee7b8550af1a670bb8a4e684f35ad09e379bb0680f1c1a5ceb"
	 "010763c567beda10952389663a3bcbb10b898581eab53d16f84cfc40bf9a95a8",
	 "2ea3e398bf4e666b498011c30fa561c41638c18d788280e2abb83e746470e3fe"
	 "bb18c764bbe5da59bb0610afdc4d7ee2762cb42150fccfa3b313ca5992671d05"
	 "2b763c5301ff085593667507bd856815649ed77cceda0a17e491baa13b179fa4"
	 "14871c2e4e05bd51b80a7d4334556e566a40e543f1ceef8da18b81e9a214527f"
	 "1faca1f288945cfcdfc84812eff6a533bd42e0d33b812cb9c6cf7840153d55ea"
	 "f96f8ca74271d8a334fb5f8099571c2f67c87483ef38b05aaeee3b9fcd407382"
	 "a1692e0c9f728ea337ceac14dec1414e5740d9f7c59c292f19ab9e7586076280"
	 "a9a919126f1d1608bc023675f569387fdbd677ebb778ba6a30478e2f5d89fd3d"
	 "6b2dcefe89e5ea001f3da755cb42d8678a6ffd3d9e2ec157eeff329b253b267f"
	 "a8e32ac9fda9d2c7bfb0f291adb1e4a9db7e4fa7395f6a84580649b6333f3698"
	 "d1a872c1d225f950ee925010fede7e01f0043283ca247b27d51f5a37ef9ca0bc"
	 "a29d94c44708270358fc6fba3e7a765aeb67852bdc73dcdcc88018706b6f87e2",
	 "731316311d8457eff12eebcc6a1513496f4aa6cdfa77a10f3dbd2a6e84e2e29f"
	 "9ee7596d61828b96a1068b37e4eedce9b18306edbe4f66d2e1debe285bcabb00"
	 "d994985ae3b5852f4aa8946e08802f8b6884085c50c704d6d48a03194ec18c70"
	 "e6a7ef09c5ffa09bde5eac6dec06ccbcd8df50ca3e0b84d4ade22f00369e56ed"
	 "8ce930fa2d913e69570bd0e6e67f61fef4d30ece02f920c747a3e5a48c8237f9"
	 "52c0588b2629a326769fb3f8d7fd731b5f21ebc4ec9471ca8a414502896bebd7"
	 "dbdc546677005106b49fe7eeeb8ce93928d6fdde8c7d33fcbfc43a3c4b62f311"
	 "ee9bb32507f31469dd73447fd74ba410d963295d3cf8bd030dc7c9d0dfffba31"
	 "6dbf950d41ad56b5b7768bad21a8d9614d8d2870cad55d6e2541988a28d4d8f9"
	 "7b55394ed12abb65adf3e2ab60bab65443bb5407f471649ed48a324331e953ba"
	 "0cfc6c9f63a828c231e26a6f947e8076cda0077d1320c04cf3010f417376111e"
	 "225f2881d71b731bca5ca95ba6792299bd670b8a01815b6161ed89dcd1d3daa9",
	 "0d0e7c3786a881eaa86612c5bcc3af83f35bb44659b75b013b68b57d1a313206"
	 "e5cfe0df0a87d77ffa2ed048a9f345169312f6c5096b6893077e610bc9bffc2c"
	 "53b3649be215f8ba4d033b0c87d0f739559c81545d0c04638eb18050706d1eba"
	 "5e5036bd992f645837f9a6f16343419b9f7828232364bd54bcbfb9934164583f"
	 "c1f21c5c3636ab0b1385270c2be5307af7def5a1daf4bbf736f21f438acb2e60"
	 "d6c892bf5eaf95f3cc3b666b804024b45e8fb4385a3afcdb73fda02bed55e540"
	 "18df79ad5c3263380040d78f8394f3d8b36e3815cdde5da14a402a9c4a25dfc5"
	 "7c3ecdd4205f7608dd07895e6f4592aa19f570889f8193c8689d31641a076d85"
	 "3dfd76bdc105e611866bd88932009a70b35cf9b56512fae26fcdc1b9ee9f4a0f"
	 "5ba983b73e2fc04e20336c62beca8dad7118df9c3e47a9a36a03f86548693294"
	 "85425dde22e2b4409b6a26800bab363fa10fdf124c610feb29e537f6f1b953df"
	 "06f7d292e8a1c859166bcd76b520b547cbca6b7e4d6ad34fbf6283dcdfe6efb2",
	 "f626c6f9ac2c8d08d645dca302f95afa09783e704d31ddc3d5df7012d1355a55"
	 "428c6655ab9eab29102c4cf4eb181a36a6f048ee36938513072848d0d31ceea5"
	 "dac294a85f6dc6f60c550ae7195bc2f4e2a89d728146ac8486492a6afab685c9"
	 "8d1cbfedc1b180ea70cadaba14794c5be50b9dc63f11e3bec3ad4c3fce018426"
	 "180827e7e1289bc3058f7ce6b07e988fcff1100cd2a5b6803f1b82c3114fa9bc"
	 "3af2c878e9ed31ea11d09def0cfa9fa039e906a1fc32c40a631c9d6132a48158"
	 "fccc688fed3a8ca914f8b635db7e56aa2c357dee5bf85e59001913a1fada25c8"
	 "cee3bbb60aa925bb1367f1cddd4b2c13be157f013878b562930665cc80684e7e"
	 "a2501be5c6d6b5c572ce6f12a731e6b82b6d8a27b7b647b80cd63dbc0be5f5c9"
	 "ca563c4e08794bfb59c27b018e9644eef0ac71b2bbe300665554940baf85f2a8"
	 "af5d569b1d2e6fd4ae469f8088a5fa8275d0640e123292d57f65f2101c33710e"
	 "fc3064b0ad566216784149db7b149feb5c091d7bf516cb4f2dcc4534b11dbcfb"},
	{DH_MODP_4096,
	 "677dc12081c48e864d7d50fee263b0a694469f549ff77bcd01c7ec79c2f4fda1"
	 "1d73a0c29d7966370d010ee3ef96de7c88f20785f7000bc13b9aedbeb672e1ec"
	 "e5c85157fa32eeb7f88fa819b96abe11bf9e634e87e3ecf7ea1e9f869c895e4b"
	 "7d19874e8afed8238d29447bf0400d7bf2efbda0f0cba08e9cca675caf06a519"
	 "fda024bc6e277f85673d277ea0b31c42495520b6d5ec50941a5664e40bb94a7d"
	 "7007dbd0d6f6313ce72fed9008c770a183d17182811e95d099de3cd343cc4ed3"
	 "d77eaf1e449e76c0a8bd93dfabebee5d4ec4cc75e0210cf6d5065e072c169690"
	 "31f40d534b10da9c490293e123c5d9cbeba19d497658138b1bb6de0a2c217b0a"
	 "5d114a294210badc1855f2f16b15f4398a2a5f7d6bff440e245d2c37c59c4941"
	 "e8443d1c25b26a684aecef1ad7b1f4fe9a47d2c0fe0b25a24a432644e55515d4"
	 "d3b2237c8e6132f2fa04c32cead9f768bcd2a220fba49a370255e36941f83d43"
	 "178e8ff95315fddb0bbca4055e626d8a77bdeac2731da5057effe424a974de36"
	 "5c35e477a994e8229e7ac141606a6020f5ffcdd8da7eacc886c2403466ee75b5"
	 "1c1b75aba64a52f5eaa29849c0db17d5b24fed0debeb4986f312f582981724e3"
	 "d30836d4d099bab75440e34e7fa918e5d43b426ab70838a8eba2975a0eb532c4"
	 "2248d4f0731b01eb79370479431ce8adaadb2d1b562f984722e768dbfe7d95df",
	 "745ecaf389b5b3be503f168c46d905155b4e4fc8a8b1fd7f60fb3b0a4aa82a5c"
	 "9a6f23f666f846fd25ee77a293e025859e175043a72d15b7848a16863cd8705b"
	 "00c684453861794d46ec7d9cd6813033798ecfe90ce24ea2a27e2c715428314b"
	 "0c7af38511288e3d079ca50cbe5a13a94d4baf3d58f455036cb263754dc5a799"
	 "a7be0eb41c4fb8de65211ba6ec1eb3a795e32bcdac8a22029a9105e97437a68d"
	 "30088a3fe6c525a2935dc33a99a3c68b7b8c1bcd31336f6cf314ac1a7d67e898"
	 "f34e0a439c5b18a40e03cfaacaaca3991edf195472e34626007e671f13f8ac9e"
	 "d9d7fb4447c36fce3133a0b9c4139844049e2f4f862dc6490eb5151f26dff9ce"
	 "4607f757a230c3dbdbb85ea7e1cfc196b79f614c8dd05baacca57a03116609b3"
	 "0b95c2a9a91c9baa2cddaf35489ddc1695230ccc9c2048e49b775f0a45553f07"
	 "8d61eedd4298467ef1e611ea815c6a00868f62b95c356ab89b9c67be991727bd"
	 "e250c111177e40b00852c8ff36e4128cf968486b056559d3dbab7b9b88169792"
	 "cd2d25242e16a808fca65d6483ef8843c55ae5109b3ae5798c2d50deb341aa39"
	 "1d9e4af22b2305f30b83b0ba2877afc8dc7f86bbf3b9171de6aed20e82f6c178"
	 "9343d694487821e7ae97a4feeec1c9c61ac0fc30836c4d7b20a6782b91980e9a"
	 "508e90cb533fe3ca7c38895d8328b1a1ab957823e8863004df0a35cf5839de0e",
	 "49de58d26f48cd56f45aa742dd50864ca092179923fba696184f0c5441e36123"
	 "1671b943c98a9bca12897d95cb6482ae5dc386781c7102f69c945d21f8c11840"
	 "b54d77f14c90aaa603b03987b03c26313e375164bacdbe1b89fa1de90a604d9b"
	 "60952c67310fa139ef349c76aa848f1b8047b127694061aa9ae232c457aec539"
	 "1fe0b75c310ba1a724dd7ed6935ddf76da4cd44fd5442f3c3f65193a24b12aff"
	 "163496fd3388468574bbf7c393f9c031e2a426ee71b15dec5642f5415e1e512a"
	 "248687c3af77ff71daa690d1f26bca3b202ecb31ee4a002ea980fb646712deaa"
	 "ce54677475d2a0dcd783721ddc0b382850d8a1427aa827bc35b347d12ae6c632"
	 "0720da291b6f6104115f2c19f549a2ab62876930a9cd241309683538c6b15f95"
	 "d2ac75b48c462c244cba101d9f522142e69e4a2b510985e1afb031c9f6a21dbb"
	 "941c8937fc39812f647a35bba4fd03745909f78edfad1eb9a1a78191b1ff5f24"
	 "f3998fce5d444e8fef9f41e1b5ef59470da15cbc2e6880d02ecba5907977382b"
	 "73bbe23ba49303e3abd27d8002c949026493d1d85a919dbb2686f0f95691becd"
	 "f58bd14c71a5f761745dbea7c050a0d438feba1d0f7cc3e7f46a390f72b920d8"
	 "ec766c533a45f198639d47283de3476becd29dab47d739322a7885e1f1dc647a"
	 "219f9e897d4332112b85420844c705bade571ce004ed08f2a222e4c14da3f6c1",
	 "79980e382cbd48b37b5b9168886dc3de2d00caf5eaeba227b72e2d1c84e9a3f9"
	 "0706f32339c8e7c9b7c37e62c72178a10a537cfe00737983ba18583673affb27"
	 "ca29456ef5b72d393271f1d751ed03a4fdd88199785c0618d997ba7b255d000c"
	 "8c3d80fdace807b8da3a410d6c09628e9733580442479e8441d4b66d8fa09bfe"
	 "43a831ff57ee37e666263cc2eb256498ddf62fe61db29ef8f88fee7c2f59befa"
	 "ae9a9002c284c29b4e5bfef49072100733069bffca726227356830daa5050376"
	 "55b6d9dc0ded746ca2dec73dad86062e98b37684cb71d7cb696a2d5314c5feb6"
	 "5c9ceea273b43ebe8230c095ef97a0d15e1e889a7c35561c286f664201b2365b"
	 "4138a414fd242e2ff9822ac7dce599795730aacac49a95527997d33caa50df8b"
	 "89e35ea01e80e8499660c31a7a5c210644cad854bcb58da136fb1562c411103c"
	 "d81b5b53fb1043315f1c2b0205abe8d196d8fd0062cae69eb1fc455183fff8b6"
	 "11538205acbf8452e9b294736cb4380aa5302e4d7b7d90fc09f31f5725ddbe7a"
	 "58fc81bafb1d71821b8611cbc9ab27e77d642cfc7bd63df71e2f51c640872879"
	 "40de96582ada90ac8eac775e81aede10cad5c4d3f11f20b2da198b1650bec70a"
	 "62b8e9f1c33703a00215930a70c8f7e92504dc068bc297868f41964a1136fc35"
	 "2be08db47270203368f58d60ea6d9703fbf026b90f988222abd02c59d6a92ebf",
	 "85438702eda94450567fedef2e88a99ff02b827e92ad12d3e37e6b18a111ce7c"
	 "3b0258f223fd0587f511734e924b5bdabb3d89e45a9201151b3045d04abb9293"
	 "c830655e908e631cec655b7bb20cedac247ece873a4703358c4ff8897e4c6202"
	 "44459c2304b700235dd67df2071fd3aa9d04350ad645464f31d27b37af92253c"
	 "4d7ab87ac4f4ee771a6b7abe4d555520dd9d5a39809d53cc1b78ff5a4bf5e352"
	 "62d841e00ebab4632c140fc45b8185c5ebf0d0e208c1aa2d55de43e5535d1fcd"
	 "f9d7d23bce99b259131578d56a82d033fbadb920a07321030cd22c8bdfdb9f35"
	 "f9bdc378fcd490884910477db9356f120933e0b62805f51ce28131de84589f25"
	 "e9e80d42347faf80bc870f6b364b6c2d9dc3557440a24fa9a6a348efad69394b"
	 "96c714e18fc5413df9974d2a5f61348cd2d86c7b843b6a54ec10d6aff82b8343"
	 "e49c59e8c49562fa71fd2572b6ea1dd534858e542af2472347350f6eff01c810"
	 "42816f723ff5cf29fc195cb4815458bd4baa052919486849ee96832198f2204e"
	 "e74ac0d4a8e7ccec0bd04f26521e6403a3f9db7595faebeab1a4db30ec8078a2"
	 "e1169ab3abb7701072a1255c8514a25a43ecb73fe20f3a7043a85cd51bf67fe2"
	 "8b64c8caae060169b3e4c3f1d627adbab7aa502944b43fea20a0c4b6621998e7"
	 "9f0611e774e75df262ab11efcc3caf9e2c6a6a455936fb21d2eaf00ac2b16d78"},
	/* The same, with a result that begins with a zero byte. */
	{DH_MODP_2048,
	 "287a750a74e9a5ecc9a0bcad068b966d206b12e8f67a1a7de3600ffdc28afaef"
	 "e29f89b416456d65423a2176989993a37e3ff46b4462735e009687fc5a7999c2"
	 "6a05fb9cc555fbb84d371e17a66001861314abf6ed8523025d54ae4c6c49f4b9"
	 "17bb416df2c938437ada2bd28c77356221d6dbb02911ccdbbf04584c96181cdc"
	 "07f9faf42d43cb2866b8ec61b61ac6890d08af725a1bbded853b833712256f71"
	 "e213aebbdee2c03252b91d372b4a36e96784dc8e2499d63b0d824421a5f641ce"
	 "078da5191dfb031c8bf55970f89dfd2a95c7ce5509894856949a24fe6a7d6cb8"
	 "291407fc667f7e3d29c781a1a3d3cf09c349896c7880965569c5d751a392b59e",
	 "b19ce4734cf60b6fa865b777a762719dac0ad9a9986f4efcecfd3b2d1e3e05e2"
	 "370f3e22edc701f752a738989f8900ae075a9ecf886699b552c7dc3b26d8daff"
	 "e8f9d7e71f93eae8e2d84eb8720b7479c6eeb04518e65d5ce3e2c0fa3c3a2448"
	 "0fab2c915a10ae5dd3e61610145a49ffceed947337af62d8fefc69a7d505fc7e"
	 "5e0f738fe1ec39152dc6f9e4ce535a7c465caedfaea7858f25778ace18e01a60"
	 "74f1e6368b1ed13cb218108d2fdd4a2adf0d1ccae4436ca67bcb9c6c6dd7e804"
	 "f04cf0abedbb4ac08d60b84a014a4946ee456f71a1eac6f743a727c385dfc827"
	 "cf384e8b0a837fa2000151daf209c4eeae4fffb53be2a7a4bc231ccf33153597",
	 "5e67e1dea4631ba9f67857d209004bbfcb009b7eb7576548e4c7eb6a7c620d10"
	 "4d37b918b23a6afc5d5fe32781b8dc145ff1245e6026c6678f5b521a22372180"
	 "85f4b9d512bc819ce6bf256c20ddd76cab22a0c67606f301a70c9da4467d985f"
	 "ec3303245b6ae1cfa8f145dfe04227d6407d7fa711f1335a3aa54ac10d4a5cb6"
	 "5c4911a24494b1d777831fa513bd412e959c2c9ce4e74a2e208fa8f2764fe956"
	 "6346865db352c2e42133bfd48cf819a10af80ef26e1e84e742b2d04b60d67c57"
	 "1fbab3b5aa3aa60dac8e119f1e1b6bd2a8f505c4f6604b0848d0e2b087ebcf2c"
	 "589a2bdacb898a088468f2bd824456f220ec33dab18c2820417dce4359187ade",
	 "094268d42625b989260964e84e8328cc50d0df8e290681ad54e25d35a4415de3"
	 "089ae0825e583d2fbb75a6b826755a35e6f81a25013455218ef2621574735084"
	 "73cf2ef5266cffdb901ab56329239d0a872082fc8f865a56020bab9873be1004"
	 "f212a7b912134605f8160ac7f227c4949d3137b53f82c9d3cc102ad263b4cb07"
	 "3f3e774282aea62bb9e3677de88760acdf1e657799d683f7c1993a9eb2df4404"
	 "5dfff96a1a28c21308f496b539de726bf63b9bd4042dc64c50e0694aa254e89a"
	 "a519bd6e0ef8594e5956d617ba5ade3a109260ba8ea643944d0e9f19d4b510a2"
	 "1fa406e5a580c37f27db90f2764c84d306e530d7be609cc1ad89ac764c9357fc",
	 "0099b89432f365c79687499d972e5146bb5f3807b6cf6922dda49cad0694ecf0"
	 "ed3c62bd9d65900b3df2a7997e7cafd85c7cdb231fc414e8d4b302e17f6caea5"
	 "98d04eb07f542bda4c403b8a0d6dc1a9a6edafbd7e303cd5e8758b306b5a0fc6"
	 "1a8abd75e5e0f9f0cca43964325d171b22738253721ce0fda4b6fa2def3e53db"
	 "c034eef4563029298d68817df4e37ef336a6571ec315cccb1a734e8f2868a1f1"
	 "7c82877d208be69a15b34a81534c05e274b7bc8cded15d1ae40b16b216ab50b3"
	 "2e18e74e95596bc20881d90846a708e7d916b0bde57c951736d57a18fb444560"
	 "81be94e8a70eaf776b427a2ebeb4df97341122e3296fdf2a5f001408bdfe8d20"},
};

/* The primes, from their formulas. */
static const struct {
	uint16_t group;
	const char *p;
} primes[] = {
	{DH_MODP_2048, "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74"
		       "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437"
		       "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
		       "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05"
		       "98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb"
		       "9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
		       "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
		       "3995497cea956ae515d2261898fa051015728e5a8aacaa68ffffffffffffffff"},
	{DH_MODP_3072, "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74"
		       "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437"
		       "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
		       "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05"
		       "98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb"
		       "9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
		       "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
		       "3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33"
		       "a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
		       "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864"
		       "d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e2"
		       "08e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff"},
	{DH_MODP_4096, "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74"
		       "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437"
		       "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
		       "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf05"
		       "98da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb"
		       "9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
		       "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
		       "3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33"
		       "a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
		       "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864"
		       "d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e2"
		       "08e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7"
		       "88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8"
		       "dbbbc2db04de8ef92e8efc141fbecaa6287c59474e6bc05d99b2964fa090c3a2"
		       "233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9"
		       "93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff"},
};

/* A value that every group refuses in its own way. */
static const struct {
	uint16_t group;
	const char *what, *value;
} refused[] = {
	/* RFC 7748 6.1, and the low-order points of Curve25519: the result is zero. */
	{DH_CURVE_25519, "zero",
	 "0000000000000000000000000000000000000000000000000000000000000000"},
	{DH_CURVE_25519, "one", "0100000000000000000000000000000000000000000000000000000000000000"},
	{DH_CURVE_25519, "order 8",
	 "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"},
	{DH_CURVE_25519, "order 8, the other",
	 "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"},
	{DH_CURVE_25519, "p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{DH_CURVE_25519, "p - 1",
	 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{DH_CURVE_25519, "p + 1",
	 "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{DH_ECP_256, "zero",
	 "0000000000000000000000000000000000000000000000000000000000000000"
	 "0000000000000000000000000000000000000000000000000000000000000000"},
	{DH_ECP_256, "not on the curve (y changed)",
	 "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
	 "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb2"},
	{DH_ECP_256, "x is p",
	 "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
	 "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4"},
	{DH_ECP_256, "all ones",
	 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	{DH_ECP_384, "zero",
	 "000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000"},
	{DH_ECP_384, "not on the curve (x changed)",
	 "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
	 "de3ac808acb4bdb4c88732aee95f41ab"
	 "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38e"
	 "eb9fcff3c2c947dae69b4c634573a81c"},
	{DH_ECP_521, "not on the curve (y changed)",
	 "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
	 "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e"
	 "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a"
	 "d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9583"},
	{DH_ECP_521, "x with a bit above the prime",
	 "0215417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
	 "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e"
	 "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a"
	 "d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582"},
};

static void check_side(struct crypto_ctx *c, uint16_t group, const char *own, const char *public,
		       const char *peer, const char *shared)
{
	struct hex priv, other;
	struct secret s = {0};
	struct dh *dh = NULL;

	hex_read(&priv, own);
	hex_read(&other, peer);
	CU_ASSERT_EQUAL_FATAL(dh_new_private(c, &dh, group, hex_view(&priv)), ERR_OK);
	CU_ASSERT(hex_equal(public, dh_public(dh).p, dh_public(dh).len));
	CU_ASSERT_EQUAL(dh_public(dh).len, dh_public_len(group));
	CU_ASSERT_EQUAL(dh_group(dh), group);
	CU_ASSERT_EQUAL(dh_compute_shared(dh, &s, hex_view(&other)), ERR_OK);
	CU_ASSERT(hex_equal(shared, s.p, s.len));
	CU_ASSERT_EQUAL(s.len, dh_shared_len(group));
	secret_fini(&s);
	dh_free(dh);
}

static void test_published_vectors(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		check_side(c, vectors[i].group, vectors[i].i, vectors[i].gi, vectors[i].gr,
			   vectors[i].shared);
		check_side(c, vectors[i].group, vectors[i].r, vectors[i].gr, vectors[i].gi,
			   vectors[i].shared);
	}
	crypto_ctx_free(c);
}

static void test_fresh_keys_agree(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 2);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct dh *a = NULL, *b = NULL;
		struct secret sa = {0}, sb = {0};

		CU_ASSERT_EQUAL_FATAL(dh_new(c, &a, vectors[i].group), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &b, vectors[i].group), ERR_OK);
		CU_ASSERT_FALSE(bytes_equal(dh_public(a), dh_public(b)));
		CU_ASSERT_EQUAL(dh_compute_shared(a, &sa, dh_public(b)), ERR_OK);
		CU_ASSERT_EQUAL(dh_compute_shared(b, &sb, dh_public(a)), ERR_OK);
		CU_ASSERT(secret_equal(sa.p, sa.len, sb.p, sb.len));
		secret_fini(&sa);
		secret_fini(&sb);
		dh_free(a);
		dh_free(b);
	}
	crypto_ctx_free(c);
}

static void test_S6_bad_values_refused(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 3);

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct secret s = {0};
		struct dh *dh = NULL;
		struct hex value;
		enum err e;

		hex_read(&value, refused[i].value);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, refused[i].group), ERR_OK);
		e = dh_compute_shared(dh, &s, hex_view(&value));
		if (e != ERR_MALFORMED)
			tap_diag("group %u: %s gives %s", refused[i].group, refused[i].what,
				 err_name(e));
		CU_ASSERT_EQUAL(e, ERR_MALFORMED);
		CU_ASSERT_EQUAL(s.len, 0);
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

/* 1 < y < p - 1 (RFC 6989 2.1), and a power of the generator, which only squares are. */
static void test_S6_modp_range(void)
{
	static const struct {
		const char *what;
		int offset; /* the last byte, or what is added to the last byte of p */
		bool from_p;
		enum err wanted;
	} values[] = {
		{"0", 0, false, ERR_MALFORMED},
		{"1", 1, false, ERR_MALFORMED},
		{"2", 2, false, ERR_OK},
		{"4", 4, false, ERR_OK},
		{"p - 1", -1, true, ERR_MALFORMED},
		{"p", 0, true, ERR_MALFORMED},
		{"p - 2", -2, true, ERR_MALFORMED},
		{"p - 4", -4, true, ERR_MALFORMED},
	};
	struct crypto_ctx *c = seeded_ctx(&rng, 7);

	for (size_t i = 0; i < ARRAY_LEN(primes) * ARRAY_LEN(values); i++) {
		const size_t g = i / ARRAY_LEN(values), v = i % ARRAY_LEN(values);
		struct secret s = {0};
		struct dh *dh = NULL;
		struct hex value;
		enum err e;

		hex_read(&value, primes[g].p);
		CU_ASSERT_EQUAL(value.len, dh_public_len(primes[g].group));
		if (!values[v].from_p)
			memset(value.b, 0, value.len);
		value.b[value.len - 1] = (uint8_t)(value.b[value.len - 1] + values[v].offset);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, primes[g].group), ERR_OK);
		e = dh_compute_shared(dh, &s, hex_view(&value));
		if (e != values[v].wanted)
			tap_diag("group %u: %s gives %s", primes[g].group, values[v].what,
				 err_name(e));
		CU_ASSERT_EQUAL(e, values[v].wanted);
		secret_fini(&s);
		memset(value.b, 0xff, value.len);
		CU_ASSERT_EQUAL(dh_compute_shared(dh, &s, hex_view(&value)), ERR_MALFORMED);
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

static void test_S6_every_wrong_length_refused(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 4);
	uint8_t value[DH_PUBLIC_MAX + 8];

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct dh *dh = NULL;
		struct hex good;

		hex_read(&good, vectors[i].gi);
		memset(value, 0, sizeof(value));
		memcpy(value, good.b, good.len);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, vectors[i].group), ERR_OK);
		for (size_t len = 0; len <= sizeof(value); len++) {
			struct secret s = {0};
			const enum err e = dh_compute_shared(dh, &s, bytes_of(value, len));

			CU_ASSERT_EQUAL(e, len == good.len ? ERR_OK : ERR_MALFORMED);
			secret_fini(&s);
		}
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

static bool is_ecp(uint16_t group)
{
	return group == DH_ECP_256 || group == DH_ECP_384 || group == DH_ECP_521;
}

/* Every single-bit change of a point leaves its curve, or changes the result. */
static void test_S6_bit_flips(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 5);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct dh *dh = NULL;
		struct hex value, priv;

		/* A changed number stays a number of a MODP group, and its power takes time. */
		const size_t step = vectors[i].group >= DH_ECP_256 ? 3 : 127;

		hex_read(&value, vectors[i].gr);
		hex_read(&priv, vectors[i].i);
		CU_ASSERT_EQUAL_FATAL(dh_new_private(c, &dh, vectors[i].group, hex_view(&priv)),
				      ERR_OK);
		for (size_t bit = 0; bit < value.len * 8; bit += step) {
			struct secret s = {0};
			enum err e;

			value.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			e = dh_compute_shared(dh, &s, hex_view(&value));
			value.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* RFC 7748 5: the top bit of a Curve25519 value is ignored. */
			if (is_ecp(vectors[i].group))
				CU_ASSERT_EQUAL(e, ERR_MALFORMED)
			else if (vectors[i].group != DH_CURVE_25519 || bit != 255)
				CU_ASSERT_FALSE(hex_equal(vectors[i].shared, s.p, s.len));
			secret_fini(&s);
		}
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

static void test_unknown_groups(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 6);
	struct dh *dh = NULL;

	for (uint32_t group = 0; group < 64; group++) {
		if (group == DH_CURVE_25519 || is_ecp((uint16_t)group) ||
		    (group >= DH_MODP_2048 && group <= DH_MODP_4096) ||
		    (group >= KE_ML_KEM_512 && group <= KE_ML_KEM_1024))
			continue;
		CU_ASSERT_EQUAL(dh_public_len((uint16_t)group), 0);
		CU_ASSERT_EQUAL(dh_shared_len((uint16_t)group), 0);
		CU_ASSERT_EQUAL(dh_new(c, &dh, (uint16_t)group), ERR_UNSUPPORTED);
	}
	CU_ASSERT_EQUAL(dh_new_private(c, &dh, 17, bytes_of("x", 1)), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(dh_new_private(c, &dh, DH_ECP_256, bytes_of("x", 1)), ERR_INVAL);
	dh_free(NULL);
	crypto_ctx_free(c);
}

/* The two ways to come to a secret: both sides make a value of their own, or the responder has the
 * initiator's in hand. */
static void test_responder(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 7);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const uint16_t group = vectors[i].group;
		struct dh *a = NULL, *b = NULL;
		struct secret sa = {0}, sb = {0};

		CU_ASSERT_EQUAL(dh_answer_len(group), dh_public_len(group));
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &a, group), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(dh_respond(c, &b, &sb, group, dh_public(a)), ERR_OK);
		CU_ASSERT_EQUAL(dh_compute_shared(a, &sa, dh_public(b)), ERR_OK);
		CU_ASSERT(secret_equal(sa.p, sa.len, sb.p, sb.len));
		dh_free(b);
		b = NULL;
		CU_ASSERT_EQUAL(dh_respond(c, &b, &sa, group, bytes_of("short", 5)), ERR_MALFORMED);
		CU_ASSERT_PTR_NULL(b);
		secret_fini(&sa);
		secret_fini(&sb);
		dh_free(a);
	}
	CU_ASSERT_EQUAL(
		dh_respond(c, &(struct dh *){NULL}, &(struct secret){0}, 63, bytes_of("x", 1)),
		ERR_UNSUPPORTED);
	crypto_ctx_free(c);
}

static const uint16_t kems[] = {KE_ML_KEM_512, KE_ML_KEM_768, KE_ML_KEM_1024};

/* have_kem - OpenSSL has ML-KEM: from 3.5 on. */
static bool have_kem(struct crypto_ctx *c)
{
	struct dh *dh = NULL;
	const enum err e = dh_new(c, &dh, KE_ML_KEM_768);

	dh_free(dh);
	if (e)
		tap_diag("this host's OpenSSL has no ML-KEM: %s", err_text(e));
	CU_ASSERT(e == ERR_OK || e == ERR_CRYPTO);
	return !e;
}

static void kem_agrees(struct crypto_ctx *c, uint16_t method)
{
	struct dh *a = NULL, *b = NULL;
	struct secret sa = {0}, sb = {0}, other = {0};
	uint8_t text[DH_VALUE_MAX];

	CU_ASSERT_EQUAL_FATAL(dh_new(c, &a, method), ERR_OK);
	CU_ASSERT_EQUAL(dh_public(a).len, dh_public_len(method));
	CU_ASSERT_EQUAL_FATAL(dh_respond(c, &b, &sb, method, dh_public(a)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dh_public(b).len, dh_answer_len(method));
	CU_ASSERT_EQUAL(dh_compute_shared(a, &sa, dh_public(b)), ERR_OK);
	CU_ASSERT(sa.len == 32 && secret_equal(sa.p, sa.len, sb.p, sb.len));
	/* FIPS 203 6.3: a ciphertext that was changed gives another secret, which nobody knows. */
	memcpy(text, dh_public(b).p, dh_public(b).len);
	text[7] ^= 1;
	CU_ASSERT_EQUAL(dh_compute_shared(a, &other, bytes_of(text, dh_public(b).len)), ERR_OK);
	CU_ASSERT(other.len == 32 && !secret_equal(sa.p, sa.len, other.p, other.len));
	secret_fini(&sa);
	secret_fini(&sb);
	secret_fini(&other);
	dh_free(a);
	dh_free(b);
}

static void test_kem_agrees(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 8);

	for (size_t i = 0; have_kem(c) && i < ARRAY_LEN(kems); i++)
		kem_agrees(c, kems[i]);
	crypto_ctx_free(c);
}

/* Lengths, and FIPS 203 7.2: an encapsulation key whose numbers are not reduced. */
static void test_S6_kem_bad_values_refused(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 9);
	uint8_t value[DH_VALUE_MAX + 1] = {0};

	for (size_t i = 0; have_kem(c) && i < ARRAY_LEN(kems); i++) {
		const size_t key = dh_public_len(kems[i]), text = dh_answer_len(kems[i]);
		struct dh *a = NULL, *b = NULL;
		struct secret s = {0};

		CU_ASSERT_EQUAL_FATAL(dh_new(c, &a, kems[i]), ERR_OK);
		for (size_t len = 0; len <= sizeof(value); len++) {
			if (len != key)
				CU_ASSERT_EQUAL(
					dh_respond(c, &b, &s, kems[i], bytes_of(value, len)),
					ERR_MALFORMED);
			if (len != text)
				CU_ASSERT_EQUAL(dh_compute_shared(a, &s, bytes_of(value, len)),
						ERR_MALFORMED);
		}
		memcpy(value, dh_public(a).p, key);
		memset(value, 0xff, 3);
		CU_ASSERT_EQUAL(dh_respond(c, &b, &s, kems[i], bytes_of(value, key)),
				ERR_MALFORMED);
		CU_ASSERT(!b && !s.len);
		dh_free(a);
	}
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors),
	TAP_TEST(test_fresh_keys_agree),
	TAP_TEST(test_S6_bad_values_refused),
	TAP_TEST(test_S6_modp_range),
	TAP_TEST(test_S6_every_wrong_length_refused),
	TAP_TEST(test_S6_bit_flips),
	TAP_TEST(test_unknown_groups),
	TAP_TEST(test_responder),
	TAP_TEST(test_kem_agrees),
	TAP_TEST(test_S6_kem_bad_values_refused),
};

TAP_MAIN("control/dh", tests)
