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
	"q8":  "435951685d05500cd5a5b9bcf68cd748089cb3386338552e7a3f8cd5802b26bb",
	"q16": "64261af5163726223f6b2454443874980e0d6661ca4b083437e9f7d14cb0e608",
	"q32": "455f0b981e16191a89168a9493ac83343f27bdb6d54a69f2ceb3986f621c40ae",
}
