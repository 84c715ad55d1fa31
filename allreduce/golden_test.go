package allreduce_test

// What Quantize and Requantize make of the values in quantize_test.go.
var (
	goldenQ8 = []int32{
		0, 64, -64, 32, -32, 20, -20, 21, 96, -96, 128, -128,
		1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	}
	goldenQ16 = []int32{
		0, 16384, -16384, 8192, -8192, 4915, -4915, 5461, 24576, -24576, 32768, -32768,
		164, -164, 16, -16, 0, 0, 0, 0, 0, 0, 128, -128,
	}
	goldenQ32 = []int32{
		0, 67108864, -67108864, 33554432, -33554432, 20132660, -20132660, 22369622, 100663296, -100663296, 134217720, -134217720,
		671089, -671089, 67109, -67109, 0, 0, 0, 0, 0, 0, 524288, -524288,
	}
	goldenShift1 = []int32{64, -64, 0, 0, 1, -1, 2}
	goldenShift4 = []int32{64, -64, 63, -63, 62, 1, 0, 0, 0, 0}
	goldenNoRoom = []int32{127, -127}
)

// The SHA-256 of the canonical sum of ringtest.Gradients(8, 5000) at step 3, for
// each codec (TestSumHasTheGoldenBits).
var goldenSums = map[string]string{
	"q8":  "3615079e53c2cb8f5bdf9a9fedb880e94061f4073267d24b9168396ca5a3f653",
	"q16": "50e7fcf50be56e3eb86f6705089c9c18e9d11c5bdd107e781e90f495f12ed5e2",
	"q32": "890c81cd4ecba8b53200d366d46673e8073a5034512759577094f70439c2e713",
}
