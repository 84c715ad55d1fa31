package backend

// What the GPU's plugin is fetched from: jax's build of it, which go-xla's own
// installer takes too, and NVIDIA's libraries in the versions with which it was tried
// here (docs/backends.md). It needs a driver for CUDA 13: 580 or later.
var cudaBundle = bundle{
	name:     "cuda13-0.11.2",
	platform: "linux/amd64",
	what:     "XLA's CUDA plugin",
	notice:   "NVIDIA's libraries come under NVIDIA's licences, which lie beside them",
	plugin:   "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
	keep: []string{
		"jax_plugins/xla_cuda13/*.so", "nvidia/*/lib/lib*.so*", "nvidia/cu13/bin/ptxas", "nvidia/cu13/bin/nvlink",
		"nvidia/cu13/nvvm/libdevice/*", "*.dist-info/licenses/*",
	},
	wheels: []wheel{
		{pkg: "jax-cuda13-pjrt", version: "0.11.2", what: "XLA's CUDA plugin", name: "jax_cuda13_pjrt-0.11.2-py3-none-manylinux_2_27_x86_64.whl",
			sha256: "e5ff589d43064913bb74027682d89639c7ea48f9f81c2bae6fc75117e913f93e", size: 134162640,
			librarySize: 411465856, libraryXXH3: "f3cb1b127739942723dd6b88492582d4"},
		{pkg: "nvidia-cublas", version: "13.1.0.3", what: "NVIDIA's cublas", name: "nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl",
			sha256: "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171", size: 423133236},
		{pkg: "nvidia-cuda-cupti", version: "13.0.85", what: "NVIDIA's cuda-cupti", name: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
			sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8", size: 10715597},
		{pkg: "nvidia-cuda-nvcc", version: "13.0.88", what: "NVIDIA's cuda-nvcc", name: "nvidia_cuda_nvcc-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
			sha256: "56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03", size: 37384532},
		{pkg: "nvidia-cuda-nvrtc", version: "13.0.88", what: "NVIDIA's cuda-nvrtc", name: "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
			sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575", size: 90215200},
		{pkg: "nvidia-cuda-runtime", version: "13.0.96", what: "NVIDIA's cuda-runtime", name: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
			sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", size: 2243632},
		{pkg: "nvidia-cudnn-cu13", version: "9.19.0.56", what: "NVIDIA's cudnn", name: "nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl",
			sha256: "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf", size: 366066321},
		{pkg: "nvidia-cufft", version: "12.0.0.61", what: "NVIDIA's cufft", name: "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
			sha256: "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3", size: 214085489},
		{pkg: "nvidia-cusolver", version: "12.0.4.66", what: "NVIDIA's cusolver", name: "nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl",
			sha256: "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112", size: 200941980},
		{pkg: "nvidia-cusparse", version: "12.6.3.3", what: "NVIDIA's cusparse", name: "nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
			sha256: "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b", size: 145942937},
		{pkg: "nvidia-nccl-cu13", version: "2.28.9", what: "NVIDIA's nccl", name: "nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl",
			sha256: "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42", size: 196493177},
		{pkg: "nvidia-nvjitlink", version: "13.0.88", what: "NVIDIA's nvjitlink", name: "nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
			sha256: "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b", size: 40713933},
		{pkg: "nvidia-nvshmem-cu13", version: "3.4.5", what: "NVIDIA's nvshmem", name: "nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
			sha256: "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80", size: 60412546},
		{pkg: "nvidia-nvvm", version: "13.0.88", what: "NVIDIA's nvvm", name: "nvidia_nvvm-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
			sha256: "c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0", size: 61601415},
	},
}

// The TPU's plugin is one library. It has not been tried by us: no TPU was at hand.
var tpuBundle = bundle{
	name:     "tpu-0.0.51",
	platform: "linux/amd64",
	what:     "XLA's TPU plugin",
	plugin:   "libtpu/libtpu.so",
	keep:     []string{"libtpu/libtpu.so", "libtpu/LICENSE", "libtpu/*THIRD_PARTY_NOTICES.txt"},
	wheels: []wheel{
		{pkg: "libtpu", version: "0.0.51", what: "XLA's TPU plugin", name: "libtpu-0.0.51-cp312-cp312-manylinux_2_31_x86_64.whl",
			sha256: "aeb662a3174a89fd9a94ac64c965a72f43c65436f5546abbcb8968c9d9552631", size: 204805132,
			librarySize: 574812664, libraryXXH3: "0695e65db5fa3ee8edd70a52beb9baa8"},
	},
}
