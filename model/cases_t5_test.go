package model

var t5Cases = []refCase{
	full("t5", "base").onXLA(), full("t5", "full"), full("t5-v1_1", "base"),
}
