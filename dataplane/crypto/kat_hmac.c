/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known answers for encrypt-then-MAC. The cipher texts are those of RFC 3602 section 4 (cases 5 and
 * 7, whole ESP packets) and of NIST SP 800-38A appendix F.2; the cases without a cipher are the
 * AUTH test vectors of RFC 4868 section 2.7.2, whose first 8 bytes stand for SPI and sequence
 * number. No document has CBC and HMAC together in one packet: there the ICV was made with Python's
 * hmac module, as were the numbers that encrypt to the IVs with its cryptography module.
 */
#include "dataplane/crypto/kat.h"

const struct aead_kat aead_kats_hmac[] = {
	{
		/* RFC 3602 case 5 */
		.alg = AEAD_AES_CBC_128_SHA2_256,
		.key = "90d382b410eeba7ad938c46cec1a82bf0102030405060708090a0b0c0d0e0f1011121314"
		       "15161718191a1b1c1d1e1f20",
		.nonce = "",
		.iv = "e96e8c08ab465763fd098d45dd3ff893",
		.number = "6a2d1d8e0c6e8512621e2d0d694394cb",
		.aad = "0000432100000001",
		.text = "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b"
			"1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536370102030405060708"
			"090a0b0c0d0e0e01",
		.out = "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e52"
		       "3a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d59"
		       "13ac19b7cfbad4a6a4de5ff4f4cf744b89129c5b5e3efa4b",
	},
	{
		/* RFC 3602 case 7, under an extended sequence number */
		.alg = AEAD_AES_CBC_128_SHA2_256,
		.key = "0123456789abcdef0123456789abcdef0102030405060708090a0b0c0d0e0f1011121314"
		       "15161718191a1b1c1d1e1f20",
		.nonce = "",
		.iv = "f4e765244f6407adf13dc1380f673f37",
		.number = "bfedb9f2e7545c31644badd2b7e71000",
		.aad = "000087650000000100000002",
		.text = "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a20400"
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b"
			"2c2d2e2f30313233343536370102030405060708090a0a04",
		.out = "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec7"
		       "8ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2"
		       "201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0dea0d51c86c64e147242a6daa"
		       "d239c91d",
	},
	{
		/* SP 800-38A F.2.3 */
		.alg = AEAD_AES_CBC_192_SHA2_256,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b0102030405060708090a0b0c"
		       "0d0e0f101112131415161718191a1b1c1d1e1f20",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "0000876500000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
		       "12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cddded802ed40e4c8a"
		       "83055eb250d4241d",
	},
	{
		.alg = AEAD_AES_CBC_192_SHA2_256,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b0102030405060708090a0b0c"
		       "0d0e0f101112131415161718191a1b1c1d1e1f20",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "000087650000000100000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
		       "12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd2aadb73156f66c1e"
		       "b01aad757cb59073",
	},
	{
		/* SP 800-38A F.2.5 */
		.alg = AEAD_AES_CBC_256_SHA2_256,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff401020304"
		       "05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "0000876500000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
		       "a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b8ce80a7c1ec794b0"
		       "8319b9a271da09af",
	},
	{
		.alg = AEAD_AES_CBC_256_SHA2_256,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff401020304"
		       "05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "000087650000000100000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
		       "a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1bbb8f4d9f9da06428"
		       "ed180591a25a9e20",
	},
	{
		/* RFC 3602 case 5 */
		.alg = AEAD_AES_CBC_128_SHA2_384,
		.key = "90d382b410eeba7ad938c46cec1a82bf0102030405060708090a0b0c0d0e0f1011121314"
		       "15161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30",
		.nonce = "",
		.iv = "e96e8c08ab465763fd098d45dd3ff893",
		.number = "6a2d1d8e0c6e8512621e2d0d694394cb",
		.aad = "0000432100000001",
		.text = "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b"
			"1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536370102030405060708"
			"090a0b0c0d0e0e01",
		.out = "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e52"
		       "3a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d59"
		       "13ac19b7cfbad4a6640e2ec8078f4ad63990230d856bb6f458ba73d9ad854f3c",
	},
	{
		/* RFC 3602 case 7, under an extended sequence number */
		.alg = AEAD_AES_CBC_128_SHA2_384,
		.key = "0123456789abcdef0123456789abcdef0102030405060708090a0b0c0d0e0f1011121314"
		       "15161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30",
		.nonce = "",
		.iv = "f4e765244f6407adf13dc1380f673f37",
		.number = "bfedb9f2e7545c31644badd2b7e71000",
		.aad = "000087650000000100000002",
		.text = "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a20400"
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b"
			"2c2d2e2f30313233343536370102030405060708090a0a04",
		.out = "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec7"
		       "8ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2"
		       "201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0dcaf3715fb6f8f5e7ac69e952"
		       "a5275563e5f4e4c74434ff5f",
	},
	{
		/* SP 800-38A F.2.3 */
		.alg = AEAD_AES_CBC_192_SHA2_384,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b0102030405060708090a0b0c"
		       "0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "0000876500000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
		       "12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd1f8e36cb79166450"
		       "28ee764dbd52aaae04ced8ea304d643d",
	},
	{
		.alg = AEAD_AES_CBC_192_SHA2_384,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b0102030405060708090a0b0c"
		       "0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "000087650000000100000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
		       "12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cdf3685a4c580a901e"
		       "198403bc18bb314aa379d6dbfdcf2815",
	},
	{
		/* SP 800-38A F.2.5 */
		.alg = AEAD_AES_CBC_256_SHA2_384,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff401020304"
		       "05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728"
		       "292a2b2c2d2e2f30",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "0000876500000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
		       "a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1bbf26159007724643"
		       "599919d3c0c9b7c3aec8e90937d8cf2e",
	},
	{
		.alg = AEAD_AES_CBC_256_SHA2_384,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff401020304"
		       "05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728"
		       "292a2b2c2d2e2f30",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "000087650000000100000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
		       "a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b8a88ffa6ceb9e464"
		       "4e30bff1cd23a9bf85c151b3395694e3",
	},
	{
		/* RFC 3602 case 5 */
		.alg = AEAD_AES_CBC_128_SHA2_512,
		.key = "90d382b410eeba7ad938c46cec1a82bf0102030405060708090a0b0c0d0e0f1011121314"
		       "15161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738"
		       "393a3b3c3d3e3f40",
		.nonce = "",
		.iv = "e96e8c08ab465763fd098d45dd3ff893",
		.number = "6a2d1d8e0c6e8512621e2d0d694394cb",
		.aad = "0000432100000001",
		.text = "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b"
			"1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536370102030405060708"
			"090a0b0c0d0e0e01",
		.out = "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e52"
		       "3a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d59"
		       "13ac19b7cfbad4a65a03496de23c2dd69916cdb9915ed68f596df936dc340dda109a9541"
		       "59f5ca3f",
	},
	{
		/* RFC 3602 case 7, under an extended sequence number */
		.alg = AEAD_AES_CBC_128_SHA2_512,
		.key = "0123456789abcdef0123456789abcdef0102030405060708090a0b0c0d0e0f1011121314"
		       "15161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738"
		       "393a3b3c3d3e3f40",
		.nonce = "",
		.iv = "f4e765244f6407adf13dc1380f673f37",
		.number = "bfedb9f2e7545c31644badd2b7e71000",
		.aad = "000087650000000100000002",
		.text = "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a20400"
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b"
			"2c2d2e2f30313233343536370102030405060708090a0a04",
		.out = "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec7"
		       "8ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2"
		       "201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d53f4dcafe31bda1f09f0dde4"
		       "f4ff5d88a719c718709e6eb3ba6bfe44916c3cb7",
	},
	{
		/* SP 800-38A F.2.3 */
		.alg = AEAD_AES_CBC_192_SHA2_512,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b0102030405060708090a0b0c"
		       "0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30"
		       "3132333435363738393a3b3c3d3e3f40",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "0000876500000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
		       "12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cdee3e99534c23fcd3"
		       "618c632cd78f997701697714ea3752940e9cca5dda0a79fe",
	},
	{
		.alg = AEAD_AES_CBC_192_SHA2_512,
		.key = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b0102030405060708090a0b0c"
		       "0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30"
		       "3132333435363738393a3b3c3d3e3f40",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "000087650000000100000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b2420"
		       "12fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cdc9babcae0f3c2c09"
		       "34590b61df82427d9878e10da9b29f4a0c438cfeae3dd24b",
	},
	{
		/* SP 800-38A F.2.5 */
		.alg = AEAD_AES_CBC_256_SHA2_512,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff401020304"
		       "05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728"
		       "292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "0000876500000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
		       "a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b6b62ca46f5619d22"
		       "78fff8bf089a5262ea16f04ddbb3824f561030ae7a916c34",
	},
	{
		.alg = AEAD_AES_CBC_256_SHA2_512,
		.key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff401020304"
		       "05060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728"
		       "292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
		.nonce = "",
		.iv = "000102030405060708090a0b0c0d0e0f",
		.number = "7757e366e9636e669a162d35f52dbe19",
		.aad = "000087650000000100000002",
		.text = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46"
			"a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		.out = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369"
		       "a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b6fa8dacda58fefb4"
		       "4e78626b471da4f10b3d979f58e4df68b7945314265adc7e",
	},
	{
		/* RFC 4868 AUTH256-1 */
		.alg = AEAD_NULL_SHA2_256,
		.key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		.nonce = "",
		.aad = "4869205468657265",
		.text = "",
		.out = "198a607eb44bfbc69903a0f1cf2bbdc5",
	},
	{
		/* RFC 4868 AUTH256-2 */
		.alg = AEAD_NULL_SHA2_256,
		.key = "4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665",
		.nonce = "",
		.aad = "7768617420646f20",
		.text = "79612077616e7420666f72206e6f7468696e673f",
		.out = "79612077616e7420666f72206e6f7468696e673f167f928588c5cc2eef8e3093caa0e87c",
	},
	{
		/* RFC 4868 AUTH256-3 */
		.alg = AEAD_NULL_SHA2_256,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.nonce = "",
		.aad = "dddddddddddddddd",
		.text = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddd",
		.out = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		       "ddddddddddddcdcb1220d1ecccea91e53aba3092f962",
	},
	{
		/* RFC 4868 AUTH256-4 */
		.alg = AEAD_NULL_SHA2_256,
		.key = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		.nonce = "",
		.aad = "cdcdcdcdcdcdcdcd",
		.text = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcd",
		.out = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
		       "cdcdcdcdcdcd372efcf9b40b35c2115b1346903d2ef4",
	},
	{
		/* under an extended sequence number */
		.alg = AEAD_NULL_SHA2_256,
		.key = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		.nonce = "",
		.aad = "000043210000000100000002",
		.text = "4500001c42a200008001441f406793b6e00000020a00f5ff01020204",
		.out = "4500001c42a200008001441f406793b6e00000020a00f5ff01020204162e96fb4c1958d7"
		       "12d8aaf2d614e121",
	},
	{
		/* RFC 4868 AUTH384-1 */
		.alg = AEAD_NULL_SHA2_384,
		.key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
		       "0b0b0b0b0b0b0b0b0b0b0b0b",
		.nonce = "",
		.aad = "4869205468657265",
		.text = "",
		.out = "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973",
	},
	{
		/* RFC 4868 AUTH384-2 */
		.alg = AEAD_NULL_SHA2_384,
		.key = "4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665"
		       "4a6566654a6566654a656665",
		.nonce = "",
		.aad = "7768617420646f20",
		.text = "79612077616e7420666f72206e6f7468696e673f",
		.out = "79612077616e7420666f72206e6f7468696e673f2c7353974f1842fd66d53c452ca42122"
		       "b28c0b594cfb184d",
	},
	{
		/* RFC 4868 AUTH384-3 */
		.alg = AEAD_NULL_SHA2_384,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		       "aaaaaaaaaaaaaaaaaaaaaaaa",
		.nonce = "",
		.aad = "dddddddddddddddd",
		.text = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddd",
		.out = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		       "dddddddddddd809f439be00274321d4a538652164b53554a508184a0c316",
	},
	{
		/* RFC 4868 AUTH384-4 */
		.alg = AEAD_NULL_SHA2_384,
		.key = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f200a0b0c0d"
		       "0e0f10111213141516171819",
		.nonce = "",
		.aad = "cdcdcdcdcdcdcdcd",
		.text = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcd",
		.out = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
		       "cdcdcdcdcdcd5b540085c6e6358096532b2493609ed1cb298f774f87bb5c",
	},
	{
		/* under an extended sequence number */
		.alg = AEAD_NULL_SHA2_384,
		.key = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324"
		       "25262728292a2b2c2d2e2f30",
		.nonce = "",
		.aad = "000043210000000100000002",
		.text = "4500001c42a200008001441f406793b6e00000020a00f5ff01020204",
		.out = "4500001c42a200008001441f406793b6e00000020a00f5ff01020204fc85556e0fdfb90f"
		       "ddc9a258a2f9d8d378f1b6f45edb2772",
	},
	{
		/* RFC 4868 AUTH512-1 */
		.alg = AEAD_NULL_SHA2_512,
		.key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
		       "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		.nonce = "",
		.aad = "4869205468657265",
		.text = "",
		.out = "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8",
	},
	{
		/* RFC 4868 AUTH512-2 */
		.alg = AEAD_NULL_SHA2_512,
		.key = "4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665"
		       "4a6566654a6566654a6566654a6566654a6566654a6566654a656665",
		.nonce = "",
		.aad = "7768617420646f20",
		.text = "79612077616e7420666f72206e6f7468696e673f",
		.out = "79612077616e7420666f72206e6f7468696e673fcb370917ae8a7ce28cfd1d8f4705d614"
		       "1c173b2a9362c15df235dfb251b15454",
	},
	{
		/* RFC 4868 AUTH512-3 */
		.alg = AEAD_NULL_SHA2_512,
		.key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		.nonce = "",
		.aad = "dddddddddddddddd",
		.text = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddd",
		.out = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		       "dddddddddddd2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf9617"
		       "33d8",
	},
	{
		/* RFC 4868 AUTH512-4 */
		.alg = AEAD_NULL_SHA2_512,
		.key = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324"
		       "25262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
		.nonce = "",
		.aad = "cdcdcdcdcdcdcdcd",
		.text = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcd",
		.out = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
		       "cdcdcdcdcdcd5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561ba"
		       "b108",
	},
	{
		/* under an extended sequence number */
		.alg = AEAD_NULL_SHA2_512,
		.key = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324"
		       "25262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
		.nonce = "",
		.aad = "000043210000000100000002",
		.text = "4500001c42a200008001441f406793b6e00000020a00f5ff01020204",
		.out = "4500001c42a200008001441f406793b6e00000020a00f5ff01020204305792a661a5c264"
		       "42b7b61d33f4f4b03ca81b8390220416345d930733d146ff",
	},
};

const size_t aead_kats_hmac_num = ARRAY_LEN(aead_kats_hmac);
