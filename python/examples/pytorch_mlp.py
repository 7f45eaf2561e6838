"""PyTorch: a network of two hidden layers; with a third argument its quantised copy as well.

    python pytorch_mlp.py features.parquet model.onnx [quantised.onnx]
"""

import sys

import onnx
import tidegate
import torch
from torch import nn

source, target, *quantised = sys.argv[1:]
train, test = tidegate.split(tidegate.read(source), 0.25)
torch.manual_seed(1)


class Mlp(nn.Module):
    """Squashes and standardises within the graph, so that it takes features as they are."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        squashed = torch.sign(x) * torch.log1p(x.abs())
        self.register_buffer("mean", squashed.mean(0))
        self.register_buffer("scale", 1 / squashed.std(0).clamp_min(1e-3))
        self.layers = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squashed = torch.sign(x) * torch.log1p(x.abs())
        return self.layers(((squashed - self.mean) * self.scale).clamp(-5, 5))


x, y, w = (torch.from_numpy(a) for a in (train.x, train.y.astype("float32"), train.weight))
model = Mlp(x)
optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
epochs, batch = 8, 1024
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimiser, 4e-3, total_steps=epochs * (len(x) // batch + 1)
)
for _ in range(epochs):
    order = torch.randperm(len(x))
    for part in order.split(batch):
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(x[part]).squeeze(1), y[part], w[part]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()

model.eval()
with torch.no_grad():
    score = torch.sigmoid(model(torch.from_numpy(test.x))).squeeze(1).numpy()
print(f"held out: {tidegate.measure(test.y, score, test.weight)}")

torch.onnx.export(
    nn.Sequential(model, nn.Sigmoid()).eval(), (x[:2],), target, input_names=["features"],
    output_names=["probability"], dynamo=True, dynamic_shapes=({0: torch.export.Dim("rows")},),
    external_data=False, opset_version=18, verbose=False,
)
tidegate.save(onnx.load(target), target, train.schema)
if quantised:
    tidegate.quantise(target, quantised[0], train.x[:4000])
