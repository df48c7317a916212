"""The "Hello World" lesson (512 and 512 units, rmsprop) as a bare script; prints its timers."""

from common import Timers, epochs_or, load_mnist
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import to_categorical

timers = Timers()
timers.start("data-load")
(x_train, y_train), (x_valid, y_valid) = load_mnist()
timers.stop("data-load")

x_train = x_train.reshape(x_train.shape[0], 784)
x_valid = x_valid.reshape(x_valid.shape[0], 784)
x_train = x_train / 255
x_valid = x_valid / 255
y_train = to_categorical(y_train, 10)
y_valid = to_categorical(y_valid, 10)

model = Sequential()
model.add(Dense(units=512, activation="relu", input_shape=(784,)))
model.add(Dense(units=512, activation="relu"))
model.add(Dense(units=10, activation="softmax"))

timers.start("compile")
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
timers.stop("compile")
timers.start("train")
model.fit(x_train, y_train, epochs=epochs_or(5), verbose=1, validation_data=(x_valid, y_valid))
timers.stop("train")
timers.start("test")
loss, accuracy = model.evaluate(x_valid, y_valid)
timers.stop("test")
timers.report(accuracy, int(model.optimizer.iterations))
