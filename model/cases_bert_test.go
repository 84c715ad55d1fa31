package model

var bertCases = []refCase{
	full("bert-cls", "base").onXLA(), full("bert-cls", "full"),
	full("roberta-cls", "base").onXLA(), full("distilbert-cls", "base").onXLA(),
}
