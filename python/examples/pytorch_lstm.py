"""PyTorch: an LSTM over the latest 16 requests of a client.

    python pytorch_lstm.py features.parquet model.onnx
"""

import sys

import onnx
import tidegate
import torch
from torch import nn

STEPS = 16
source, target = sys.argv[1:]
train, test = tidegate.split(tidegate.read(source), 0.25)
torch.manual_seed(1)


class Lstm(nn.Module):
    """Takes [N, 16, 64], the request to be judged last."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        squashed = torch.sign(x) * torch.log1p(x.abs())
        self.register_buffer("mean", squashed.mean(0))
        self.register_buffer("scale", 1 / squashed.std(0).clamp_min(1e-3))
        self.lstm = nn.LSTM(64, 32, batch_first=True)
        self.last = nn.Linear(32 + 64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squashed = torch.sign(x) * torch.log1p(x.abs())
        scaled = ((squashed - self.mean) * self.scale).clamp(-5, 5)
        hidden, _ = self.lstm(scaled)
        return self.last(torch.cat((hidden[:, -1], scaled[:, -1]), 1))


x, ends = tidegate.windows(train, STEPS)
x, y, w = (torch.from_numpy(a) for a in (x, train.y[ends].astype("float32"), train.weight[ends]))
model = Lstm(torch.from_numpy(train.x))
optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
epochs, batch = 4, 1024
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimiser, 4e-3, total_steps=epochs * (len(x) // batch + 1)
)
for _ in range(epochs):
    for part in torch.randperm(len(x)).split(batch):
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(x[part]).squeeze(1), y[part], w[part]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()

model.eval()
held, ends = tidegate.windows(test, STEPS)
with torch.no_grad():
    parts = torch.from_numpy(held).split(4096)
    score = torch.cat([torch.sigmoid(model(part)).squeeze(1) for part in parts]).numpy()
print(f"held out: {tidegate.measure(test.y[ends], score, test.weight[ends])}")

torch.onnx.export(
    nn.Sequential(model, nn.Sigmoid()).eval(), (x[:2],), target, input_names=["requests"],
    output_names=["probability"], dynamo=True, dynamic_shapes=({0: torch.export.Dim("rows")},),
    external_data=False, opset_version=18, verbose=False,
)
tidegate.save(onnx.load(target), target, train.schema)
