package model

import "carillon/job"

var bertCases = []refCase{
	full("bert-cls", "base").onXLA(), full("bert-cls", "full"),
	full("roberta-cls", "base"), full("distilbert-cls", "base"),
	full("bert-mlm", "base"), full("roberta-mlm", "base"), full("distilbert-mlm", "base"),
	lora("bert-mlm", "lora", on("all-linear")),
	prompt("bert-cls"), prompt("roberta-cls"), prefix("bert-cls"),
	bottleneck("bert-cls", "seq_bn"), bottleneck("bert-cls", "double_seq_bn"), bottleneck("bert-cls", "par_bn"),
	bottleneck("roberta-cls", "seq_bn"), bottleneck("distilbert-cls", "seq_bn"),
	bottlenecks("bert-cls", "adapter-seq_bn-learned", job.Bottleneck{
		Architecture: "seq_bn", ReductionFactors: map[string]float64{"0": 8}, NonLinearity: "tanh", LearnScaling: "learned", ResidualBeforeLN: new(bool),
	}),
}
